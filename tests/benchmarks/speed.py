"""How fast the perfusion engine is, against a peer and against what nobody can save.

From 8-bit grey to parameters and their covariance, on the cube of 1,500 frames and 10⁵ pixels.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from dicomnode.science.compiled import cores, in_parallel, vectorised
from dicomnode.science.curves import bin_times, wash_in
from dicomnode.science.elementary import exp32, log32
from dicomnode.science.fit import Fit, fit_binned
from dicomnode.science.kinetics import lognormal
from dicomnode.science.loop import linearise
from dicomnode.science.sampling import Motion, bin_frames
from tests.benchmarks.cubes import BASE, RANGE_DB, WHITE, cube, to_grey
from tests.benchmarks.row import Row

__all__ = ["fit_speed", "median_s", "memory"]

RUNS = 5
FRAMES, ROWS, COLUMNS = 1500, 250, 400
PEER_PIXELS = 100
BINS = 80
BLOCK = 1 << 14
"""Numbers that the floor works on at a time: they stay in the cache."""
LIMIT_MIB = 200.0


def median_s(work: Callable[[], object], runs: int = RUNS) -> float:
    """Median wall time of a few runs, after one that is not counted."""
    work()
    spent = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def grey_cube() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Grey levels (T, R, C) of the cube and its clock."""
    known = cube(frames=FRAMES, pixels=ROWS * COLUMNS)
    rng = np.random.default_rng(4)
    grey = np.empty((FRAMES, ROWS, COLUMNS), np.uint8)
    for mean, frame in zip(known.mean, grey, strict=True):
        speckle = mean * rng.standard_exponential(mean.size, np.float32)
        frame[:] = to_grey(speckle.reshape(ROWS, COLUMNS))
    return grey, known.times_s


def measured(grey: NDArray[np.uint8], times_s: NDArray[np.float64]) -> Fit:
    """Grey in, parameters and covariance out: what is timed."""
    curve = linearise(grey[:, ::16, ::16], RANGE_DB).mean(axis=(1, 2), dtype=np.float64)
    bins = bin_times(times_s, BINS, wash_in_s=wash_in(curve, times_s))
    whole = np.ones(grey.shape[1:], np.bool_)
    return fit_binned(bin_frames(grey, _still(len(grey)), whole, bins, RANGE_DB))


def _still(frames: int) -> Motion:
    return Motion(
        shift_px=np.zeros((frames, 2)), ncc=np.ones(frames), kept=np.ones(frames, np.bool_),
        reference=0, source="contrast",
    )  # fmt: skip


def fit_speed() -> Iterator[Row]:
    """Ratios to scipy's curve_fit and to the floor, of the same run."""
    grey, times_s = grey_cube()
    pixels = ROWS * COLUMNS
    fit = measured(grey, times_s)
    ours_s = median_s(lambda: measured(grey, times_s))
    peer_s = median_s(lambda: _peer(grey, times_s)) * pixels / PEER_PIXELS
    yield Row(
        "fit, pixels/s over scipy curve_fit (LM)",
        f"{peer_s / ours_s:.0f} x",
        f"{FRAMES} frames x {pixels} px, {cores()} cores; {ours_s:.2f} s against {peer_s:.0f} s",
    )
    evaluations = int(fit.evaluations.sum()) * BINS
    numpy_s = median_s(lambda: _numpy_floor(grey, evaluations))
    yield Row(
        "fit, time over the floor (numpy's exp, ln, look-up)",
        f"{ours_s / numpy_s:.2f} x",
        f"{evaluations / pixels / BINS:.1f} evaluations per pixel; {numpy_s:.2f} s",
    )
    least_s = median_s(lambda: _least(grey, evaluations))
    yield Row(
        "fit, time over the least (our exp, ln, bare bytes)",
        f"{ours_s / least_s:.2f} x",
        f"no likelihood, no derivatives, no power: {least_s:.3f} s",
    )


def _peer(grey: NDArray[np.uint8], times_s: NDArray[np.float64]) -> None:
    """Least squares pixel by pixel, on the same samples, from a sensible start."""
    scale = np.float32(WHITE / 10 ** (RANGE_DB / 10))
    chosen = grey.reshape(len(grey), -1)[:, :: grey[0].size // PEER_PIXELS][:, :PEER_PIXELS]
    power = linearise(chosen, RANGE_DB) * scale

    def model(t, auc, mu, sigma, t0, base):  # type: ignore[no-untyped-def]
        return base + lognormal(t, auc, mu, abs(sigma) + 1e-3, t0)

    for samples in power.T:
        start = (samples.sum() * times_s[-1] / len(times_s), 2.5, 0.6, 5.0, BASE)
        try:
            curve_fit(model, times_s, samples, p0=start, maxfev=1000)
        except RuntimeError:
            continue


def _numpy_floor(grey: NDArray[np.uint8], evaluations: int) -> None:
    """Each grey level looked up and added once; ln x, exp g and ln m of each evaluation."""
    table = (10.0 ** (RANGE_DB * np.arange(256) / 2550)).astype(np.float32)

    def read(frame: NDArray[np.uint8]) -> None:
        for block in np.array_split(frame.ravel(), max(frame.size // BLOCK, 1)):
            np.add.reduce(table[block])

    def evaluate(_: int) -> None:
        values = np.linspace(0.5, 2.0, BLOCK, dtype=np.float32)
        np.log(values, out=values)
        np.exp(values, out=values)
        np.log(values, out=values)

    in_parallel(read, grey)
    in_parallel(evaluate, range(evaluations // BLOCK))


def _least(grey: NDArray[np.uint8], evaluations: int) -> None:
    """The bytes read and nothing done with them; our own exp and ln."""
    in_parallel(lambda part: int(part.max()), np.array_split(grey, 16))
    values = np.linspace(0.5, 2.0, BLOCK, dtype=np.float32)
    in_parallel(lambda _: _elementary(values), range(evaluations // BLOCK))


@vectorised
def _elementary(values):  # type: ignore[no-untyped-def]
    """Sum of ln x, exp and ln of as many values."""
    total = np.float32(0)
    for i in range(values.size):
        x = values[i]
        total += log32(exp32(log32(x)) + x)
    return total


def memory() -> Iterator[Row]:
    """Peak memory of the fit beyond its input, in a process of its own."""
    grey, times_s = grey_cube()
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "cube.npz", grey=grey, times_s=times_s)
        found = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.speed", folder],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    mib = float(found)
    yield Row(
        "peak memory beyond the input panes, of its limit",
        f"{mib / LIMIT_MIB:.2f}",
        f"{mib:.0f} MiB of {LIMIT_MIB:.0f}; input {grey.nbytes / 2**20:.0f} MiB",
    )


def _resident_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def _report_memory(folder: Path) -> None:
    """Print how far the peak goes beyond what is resident once the input is read."""
    small = np.random.default_rng(0).integers(1, 200, (40, 60, 60), dtype=np.uint8)
    measured(small, np.linspace(0, 60, 40))
    with np.load(folder / "cube.npz") as given:
        grey, times_s = given["grey"], given["times_s"]
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident_mib("VmRSS")
    measured(grey, times_s)
    print(_resident_mib("VmHWM") - before)


if __name__ == "__main__":
    _report_memory(Path(sys.argv[1]))
