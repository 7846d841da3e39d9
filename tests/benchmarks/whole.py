"""Reading a clip, and a whole exam from its file to its results.

In one process: linear algebra keeps to one thread, compiled loops use all cores.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.pixels import iter_pixels

from dicomnode.config import default_models_dir
from dicomnode.dicom.decode import frames
from dicomnode.outputs import Request, process
from dicomnode.science.compiled import cores
from dicomnode.simulate import recipe_for, simulate, write
from tests.benchmarks.row import Row
from tests.benchmarks.speed import RUNS, median_s

__all__ = ["whole_exam"]

LIMIT_S = 60.0
"""From the last byte of a 360-frame clip to its results, of which the quiet time is a part."""
QUIET_S = 30.0
RUNS_WHOLE = 3


def whole_exam() -> Iterator[Row]:
    """Ratios of decoding to a peer, and of the whole to its limit."""
    with tempfile.TemporaryDirectory() as folder:
        exam = simulate(recipe_for("malignant", 8_000_001, transfer_syntax="jpeg", clips=1))
        (clip,) = write(exam, Path(folder) / "exam")
        yield _decode(clip)
        request = Request(models_dir=default_models_dir())
        spent = median_s(lambda: process([clip], Path(folder) / "out", request), runs=RUNS_WHOLE)
    yield Row(
        "whole exam of 360 frames, of its limit",
        f"{(spent + QUIET_S) / LIMIT_S:.2f}",
        f"{spent:.1f} s + {QUIET_S:.0f} s quiet of {LIMIT_S:.0f} s; {cores()} cores, "
        f"median of {RUNS_WHOLE}",
    )


def _decode(clip: Path) -> Row:
    ours = median_s(lambda: sum(1 for _ in frames(clip)))
    theirs = median_s(lambda: sum(1 for _ in iter_pixels(pydicom.dcmread(clip))))
    note = f"JPEG; median of {RUNS} each"
    return Row("decode, frames/s over pydicom.iter_pixels", f"{theirs / ours:.1f} x", note)
