"""How fast the perfusion engine is, against a peer and against what nobody can save.

From 8-bit grey to parameters and their covariance, on the cube of 1,500 frames and 10⁵ pixels.
"""

import ctypes
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from dicomnode.config import default_models_dir
from dicomnode.inference.models import load_models
from dicomnode.pipeline import measure
from dicomnode.recipe import Recipe
from dicomnode.science.compiled import cores, in_parallel, vectorised
from dicomnode.science.curves import Bins, bin_power, bin_times, wash_in
from dicomnode.science.elementary import exp32, log32
from dicomnode.science.fit import Fit, fit_binned
from dicomnode.science.kinetics import lognormal
from dicomnode.science.loop import Loop, linearise
from dicomnode.science.sampling import Motion, bin_frames
from dicomnode.simulation import recipe_for, simulate
from tests.benchmarks.cubes import BASE, RANGE_DB, WHITE, cube, to_grey
from tests.benchmarks.row import Row

__all__ = ["RUNS", "fit_speed", "median_s", "memory"]

RUNS = 5
FRAMES, ROWS, COLUMNS = 1500, 250, 400
PEER_PIXELS = 100
BINS = 64
BLOCK = 1 << 14
"""Numbers that the floor works on at a time: they stay in the cache."""
PARTS = 16
"""Tasks that the floors are divided into."""
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
    whole = np.ones(grey.shape[1:], np.bool_)
    bins = _bins(grey, times_s)
    return fit_binned(bin_frames(grey, _still(len(grey)), whole, bins, RANGE_DB))


def _bins(grey: NDArray[np.uint8], times_s: NDArray[np.float64]) -> Bins:
    curve = linearise(grey[:, ::250], RANGE_DB).mean(axis=(1, 2), dtype=np.float64)
    return bin_times(times_s, BINS, wash_in_s=wash_in(curve, times_s))


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
    peers = {"all frames": None, f"same {BINS} bins": _bins(grey, times_s)}
    for samples, bins in peers.items():
        work = partial(_peer, grey, times_s, bins)
        peer_s = median_s(work) * pixels / PEER_PIXELS
        yield Row(
            f"fit, pixels/s over curve_fit on one core, {samples}",
            f"{peer_s / ours_s:.0f} x",
            f"{FRAMES} frames x {pixels} px; ours on {cores()} cores {ours_s:.2f} s, "
            f"scipy (LM) on one {peer_s:.0f} s",
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


def _peer(grey: NDArray[np.uint8], times_s: NDArray[np.float64], bins: Bins | None) -> None:
    """Least squares pixel by pixel, from a sensible start: of all samples or of means of bins."""
    scale = np.float32(WHITE / 10 ** (RANGE_DB / 10))
    chosen = grey.reshape(len(grey), -1)[:, :: grey[0].size // PEER_PIXELS][:, :PEER_PIXELS]
    power = linearise(chosen, RANGE_DB) * scale

    def model(t, auc, mu, sigma, t0, base):  # type: ignore[no-untyped-def]
        return base + lognormal(t, auc, mu, abs(sigma) + 1e-3, t0)

    binned = None if bins is None else bin_power(power, bins)
    at_s, fitted = (
        (times_s, power) if binned is None else (binned.times_s, binned.total / binned.count)
    )
    for samples, area in zip(fitted.T, power.sum(axis=0) * times_s[-1] / len(times_s), strict=True):
        start = (area, 2.5, 0.6, 5.0, BASE)
        try:
            curve_fit(model, at_s, samples, p0=start, maxfev=1000)
        except RuntimeError:
            continue


def _numpy_floor(grey: NDArray[np.uint8], evaluations: int) -> None:
    """Each grey level looked up and added once; ln x, exp g and ln m of each evaluation.

    Into buffers that stay: nothing is allocated or made up within what is counted.
    """
    table = (10.0 ** (RANGE_DB * np.arange(256) / 2550)).astype(np.float32)
    values = np.linspace(0.5, 2.0, BLOCK, dtype=np.float32)

    def read(frames: NDArray[np.uint8]) -> None:
        buffer, levels = np.empty(BLOCK, np.float32), frames.reshape(-1)
        for first in range(0, levels.size, BLOCK):
            block = levels[first : first + BLOCK]
            np.add.reduce(np.take(table, block, out=buffer[: block.size], mode="clip"))

    def evaluate(blocks: range) -> None:
        buffer = np.empty(BLOCK, np.float32)
        for _ in blocks:
            np.log(values, out=buffer)
            np.exp(buffer, out=buffer)
            np.log(buffer, out=buffer)

    in_parallel(read, np.array_split(grey, PARTS))
    blocks = evaluations // BLOCK
    in_parallel(evaluate, [range(n, blocks, PARTS) for n in range(PARTS)])


def _least(grey: NDArray[np.uint8], evaluations: int) -> None:
    """The bytes read and nothing done with them; our own exp and ln."""
    in_parallel(lambda part: int(part.max()), np.array_split(grey, PARTS))
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
    """Peak memory of the fit and of the whole method beyond their input, in processes of their own.

    Once a small input has been worked on, so that code is loaded and compiled; for the whole method
    the note says how much it is for the first exam of a process, which loads all of that.
    """
    grey, times_s = grey_cube()
    cube_arrays = {"grey": grey, "times_s": times_s}
    yield _memory("fit", cube_arrays, _peak_mib("fit", cube_arrays))
    loop = simulate(recipe_for("malignant", 8_000_001, clips=1)).loop
    arrays = {
        "grey": loop.contrast, "bmode": loop.bmode, "times_s": loop.times_s,
        "graphics": loop.graphics, "spacing_mm": np.array(loop.spacing_mm),
    }  # fmt: skip
    again, first = _peak_mib("measure", arrays), _peak_mib("measure-first", arrays)
    what = f"measure, {len(loop.times_s)} frames"
    yield _memory(what, arrays, again, f"; first exam of a process {first:.0f} MiB")


def _memory(what: str, arrays: Mapping[str, Any], mib: float, note: str = "") -> Row:
    input_mib = sum(array.nbytes for array in arrays.values()) / 2**20
    return Row(
        f"{what}: peak beyond input, of its limit",
        f"{mib / LIMIT_MIB:.2f}",
        f"{mib:.0f} MiB of {LIMIT_MIB:.0f}; input {input_mib:.0f} MiB{note}",
    )


def _peak_mib(report: str, arrays: Mapping[str, Any]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.npz"
        np.savez(given, **arrays)
        found = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.speed", report, str(given)],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    return float(found)


def _resident_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def _report_fit(given: Path) -> None:
    small = np.random.default_rng(0).integers(1, 200, (40, 60, 60), dtype=np.uint8)
    measured(small, np.linspace(0, 60, 40))
    with np.load(given) as arrays:
        grey, times_s = arrays["grey"], arrays["times_s"]
    _report(lambda: measured(grey, times_s))


def _report_measure(given: Path, *, first: bool = False) -> None:
    models = load_models(default_models_dir())
    if not first:
        measure(simulate(recipe_for("malignant", 8_000_001, preset="small")).loop, models, Recipe())
    with np.load(given) as arrays:
        loop = Loop(
            contrast=arrays["grey"], bmode=arrays["bmode"], times_s=arrays["times_s"],
            spacing_mm=tuple(arrays["spacing_mm"]), graphics=arrays["graphics"],
        )  # fmt: skip
    _report(lambda: measure(loop, models, Recipe()))


def _report(work: Callable[[], object]) -> None:
    """Print how far the peak goes beyond what is resident once the input is read.

    What earlier work has left to the allocator is given back first: it would be used again unseen.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident_mib("VmRSS")
    work()
    print(_resident_mib("VmHWM") - before)


REPORTS = {
    "fit": _report_fit,
    "measure": _report_measure,
    "measure-first": partial(_report_measure, first=True),
}

if __name__ == "__main__":
    REPORTS[sys.argv[1]](Path(sys.argv[2]))
