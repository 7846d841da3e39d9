"""Reading a clip, and a whole exam from its file to its results.

In one process: linear algebra keeps to one thread, compiled loops use all cores.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.pixels import iter_pixels

from dicomnode.config import default_models_dir
from dicomnode.dicom.decode import frames
from dicomnode.inference.bundle import load
from dicomnode.inference.segment import Segmenter
from dicomnode.outputs.job import process
from dicomnode.outputs.request import Request
from dicomnode.science.compiled import cores
from dicomnode.science.loop import summary_images
from dicomnode.science.motion import register
from dicomnode.simulation import SimulatedExam, recipe_for, simulate, write
from tests.benchmarks.row import Row
from tests.benchmarks.speed import RUNS, median_s

__all__ = ["RUNS_WHOLE", "one_core", "whole_exam"]

LIMIT_S = 60.0
"""From the last byte of a 360-frame clip to its results, of which the quiet time is a part."""
QUIET_S = 30.0
RUNS_WHOLE = 3
SEGMENTER_LIMIT_S, SIMULATOR_LIMIT_S = 0.06, 10.0


def whole_exam() -> Iterator[Row]:
    """Ratios of decoding to a peer, and of the whole to its limit."""
    yield _simulator()
    with tempfile.TemporaryDirectory() as folder:
        exam = simulate(recipe_for("malignant", 8_000_001, transfer_syntax="jpeg", clips=1))
        (clip,) = write(exam, Path(folder) / "exam")
        yield _decode(clip)
        yield _segmenter(exam)
        request = Request(models_dir=default_models_dir())
        spent = median_s(lambda: process([clip], Path(folder) / "out", request), runs=RUNS_WHOLE)
    yield Row(
        "whole exam of 360 frames, of its limit",
        f"{(spent + QUIET_S) / LIMIT_S:.2f}",
        f"{spent:.1f} s + {QUIET_S:.0f} s quiet of {LIMIT_S:.0f} s; {cores()} cores, "
        f"median of {RUNS_WHOLE}",
    )


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process to one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _simulator() -> Row:
    recipe = recipe_for("malignant", 8_000_001, clips=1)
    with one_core():
        spent_s = median_s(lambda: simulate(recipe), runs=RUNS_WHOLE)
    return Row(
        f"simulator, {recipe.pane.frames} frames on one core, of its limit",
        f"{spent_s / SIMULATOR_LIMIT_S:.2f}",
        f"{spent_s:.1f} s of {SIMULATOR_LIMIT_S:.0f} s; median of {RUNS_WHOLE}",
    )


def _segmenter(exam: SimulatedExam) -> Row:
    """The lesion of one exam, all views, on one core; the summary images are made before."""
    images = summary_images(exam.loop, register(exam.loop))
    with one_core():
        segmenter = Segmenter(load(default_models_dir() / "segmenter"))
        spent_s = median_s(lambda: segmenter.segment(images, exam.loop.spacing_mm), runs=4 * RUNS)
    return Row(
        "segmenter, one exam on one core, of its limit",
        f"{spent_s / SEGMENTER_LIMIT_S:.2f}",
        f"{1e3 * spent_s:.0f} ms of {1e3 * SEGMENTER_LIMIT_S:.0f} ms; median of {4 * RUNS}",
    )


def _decode(clip: Path) -> Row:
    ours = median_s(lambda: sum(1 for _ in frames(clip)))
    theirs = median_s(lambda: sum(1 for _ in iter_pixels(pydicom.dcmread(clip))))
    note = f"JPEG; median of {RUNS} each"
    return Row("decode, frames/s over pydicom.iter_pixels", f"{theirs / ours:.1f} x", note)
