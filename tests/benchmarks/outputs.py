"""Building every output of a long exam: time on one core, and memory beyond the findings."""

import tempfile
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import imagecodecs

from dicomnode.config import default_models_dir
from dicomnode.dicom.context import exam_context
from dicomnode.dicom.decode import frames
from dicomnode.dicom.exam import ReadSettings, read_study
from dicomnode.dicom.results.overlay import QUALITY
from dicomnode.inference.models import load_models
from dicomnode.outputs.options import ResultOptions
from dicomnode.outputs.write import write_outputs
from dicomnode.pipeline import analyse_exam
from dicomnode.recipe import Recipe
from dicomnode.simulation import recipe_for, simulate, write
from tests.benchmarks.row import Row
from tests.benchmarks.speed import median_s
from tests.benchmarks.whole import RUNS_WHOLE, one_core

__all__ = ["all_outputs"]

FRAMES = 900
LIMIT_S, LIMIT_MIB = 4.0, 300.0


def _through_codec(clip: Path) -> None:
    """Do what no overlay can do without: decode each frame and encode it again, unpainted."""
    for frame in frames(clip, colour="luma"):
        imagecodecs.jpeg8_encode(frame, level=QUALITY)


def all_outputs() -> Iterator[Row]:
    """SEG, SR, overlay loop, key frame and report page of a simulated exam; then the PDF too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = recipe_for("malignant", 8_000_002, frames=FRAMES, transfer_syntax="jpeg", clips=1)
        (exam,) = read_study(write(simulate(recipe), folder / "exam"), ReadSettings()).exams
        models = load_models(default_models_dir())
        findings = analyse_exam(exam, models, Recipe()).findings
        assert findings is not None, "a simulated bolus is not refused"
        context = exam_context(exam, models=models.uses, recipe="bench", when=datetime.now(UTC))
        with one_core():
            spent_s, with_pdf_s = (
                median_s(
                    lambda form=form: write_outputs(exam, findings, context, folder, form),
                    runs=RUNS_WHOLE,
                )
                for form in (ResultOptions(), ResultOptions(extras=frozenset({"pdf"})))
            )
            codec_s = median_s(lambda: _through_codec(exam.clips[0].path), runs=RUNS_WHOLE)
        tracemalloc.start()
        write_outputs(exam, findings, context, folder)
        peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    yield Row(
        f"all outputs of {FRAMES} frames on one core, of its limit",
        f"{spent_s / LIMIT_S:.2f}",
        f"{spent_s:.1f} s of {LIMIT_S:.0f} s, {with_pdf_s:.1f} s with the PDF; "
        f"median of {RUNS_WHOLE}",
    )
    yield Row(
        "the same, over libjpeg-turbo alone, in and out",
        f"{spent_s / codec_s:.2f}",
        f"{codec_s:.1f} s to decode and encode the luma of the same frames",
    )
    yield Row(
        "the same, peak memory beyond the findings, of its limit",
        f"{peak_mib / LIMIT_MIB:.2f}",
        f"{peak_mib:.0f} MiB of {LIMIT_MIB:.0f}, as Python and numpy allocate it",
    )
