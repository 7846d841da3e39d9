"""``make bench``: each figure as a ratio against a peer or a limit measured in the same run."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import iter_pixels
from scipy.optimize import curve_fit
from threadpoolctl import threadpool_limits

from dicomnode.config import default_models_dir
from dicomnode.dicom.decode import frames
from dicomnode.outputs import Request, process
from dicomnode.science.fit import fit_lognormal
from dicomnode.science.kinetics import lognormal
from dicomnode.simulate import recipe_for, simulate, write

RUNS = 5
PIXELS, FRAMES = 20_000, 300
PEER_PIXELS = 60
LIMIT_S = 60.0
"""From the last byte of a 360-frame clip to its results, of which the quiet time is a part."""
QUIET_S = 30.0


def median_s(work: Callable[[], object], runs: int = RUNS) -> float:
    """Median wall time of a few runs, after one that is not counted."""
    work()
    spent = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def row(name: str, value: str, note: str) -> None:
    print(f"{name:<46} {value:>14}   {note}")


def fit_speed() -> None:
    rng = np.random.default_rng(1)
    times_s = np.linspace(0, 75, FRAMES)
    mu, sigma = rng.normal(2.8, 0.2, PIXELS), rng.uniform(0.5, 0.9, PIXELS)
    mean = 0.02 + lognormal(times_s[:, None], 30.0, mu, sigma, 6.0)
    power = (mean * rng.exponential(size=mean.shape)).astype(np.float32)

    def model(t: np.ndarray, auc: float, mu: float, sigma: float, t0: float, base: float):
        return base + lognormal(t, auc, mu, abs(sigma) + 1e-3, t0)

    def peer() -> None:
        for pixel in range(PEER_PIXELS):
            try:
                curve_fit(model, times_s, power[:, pixel], p0=(30, 2.8, 0.7, 6, 0.02), maxfev=400)
            except RuntimeError:
                continue

    ours = PIXELS / median_s(lambda: fit_lognormal(power, times_s))
    theirs = PEER_PIXELS / median_s(peer)
    row(
        "fit, pixels/s over scipy curve_fit (LM)", f"{ours / theirs:.0f} x", f"{ours:,.0f} a second"
    )


def decode_speed(clip: Path) -> None:
    ours = median_s(lambda: sum(1 for _ in frames(clip)))
    theirs = median_s(lambda: sum(1 for _ in iter_pixels(pydicom.dcmread(clip))), runs=1)
    row("decode, frames/s over pydicom.iter_pixels", f"{theirs / ours:.1f} x", "JPEG, whole frames")


def whole_exam(clip: Path, work: Path) -> None:
    request = Request(models_dir=default_models_dir())
    spent = median_s(lambda: process([clip], work / "out", request), runs=3)
    row(
        "whole exam of 360 frames over its limit",
        f"{(spent + QUIET_S) / LIMIT_S:.2f}",
        f"{spent:.1f} s + {QUIET_S:.0f} s quiet of {LIMIT_S:.0f} s; one process, one thread",
    )


def main() -> None:
    print("Medians; ratios against a peer or a limit of the same run, on simulated data.\n")
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        work = Path(folder)
        exam = simulate(recipe_for("malignant", 8_000_001, transfer_syntax="jpeg", clips=1))
        (clip,) = write(exam, work / "exam")
        fit_speed()
        decode_speed(clip)
        whole_exam(clip, work)


if __name__ == "__main__":
    main()
