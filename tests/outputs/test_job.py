"""A study's files in, its outcomes out: a clip that breaks late leaves its exam, not the study."""

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from dicomnode import pipeline
from dicomnode.dicom.exam import Exam, load_loop
from dicomnode.errors import BrokenClipError, Reason
from dicomnode.outputs import job
from dicomnode.outputs.job import process
from dicomnode.outputs.request import Outcome, Request
from dicomnode.pipeline import Result

ROWS, COLUMNS, FRAMES = 48, 64, 40
MODELS = SimpleNamespace(uses=())
DECODED = Reason("decoded", "expected pixels, found them")


def decoding(exam: Exam, *_: object) -> Result:
    """Decode an exam, and no more of what its analysis would do."""
    try:
        load_loop(exam)
    except BrokenClipError as broken:
        reasons = (broken.reason,)
        return Result(exam=exam, findings=None, reasons=reasons, broken=broken.path)
    return Result(exam=exam, findings=None, reasons=(DECODED,))


@pytest.fixture
def clips(wrap: ModuleType, tmp_path: Path) -> list[Path]:
    """Two clips of one injection."""
    anatomy = np.linspace(0.3, 1.7, COLUMNS)
    rng = np.random.default_rng(11)
    pane = wrap.speckle(rng, wrap.wash_in(FRAMES), ROWS, COLUMNS) * anatomy
    contrast = np.clip(pane, 0, 255).astype(np.uint8)
    return [
        wrap.native(
            tmp_path / name,
            contrast[part],
            photometric="MONOCHROME2",
            SOPInstanceUID=f"2.25.9{number}",
            SequenceOfUltrasoundRegions=[wrap.region(0, 0, ROWS, COLUMNS, 0.02)],
            AcquisitionDateTime=f"2020010112000{number}",
            FrameTime=200.0,
        )
        for name, number, part in (("a.dcm", 0, slice(0, 25)), ("b.dcm", 6, slice(25, None)))
    ]


def outcomes(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch, broken: str
) -> tuple[tuple[Outcome, ...], Path]:
    """What becomes of the study where a clip of this name breaks when it is decoded."""

    def analyse(exam: Exam, *rest: object) -> Result:
        for path in (clip.path for clip in exam.clips if clip.path.name == broken):
            path.write_bytes(path.read_bytes()[:-2000])
        return decoding(exam, *rest)

    monkeypatch.setattr(pipeline, "analyse_exam", analyse)
    monkeypatch.setattr(job, "load_models", lambda _: MODELS)
    directory = paths[0].parent / "out"
    return process(paths, directory, Request(models_dir=directory)), directory


def test_the_exam_is_analysed_without_the_clip(
    clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (outcome,), directory = outcomes(clips, monkeypatch, "b.dcm")
    assert outcome.reasons == (DECODED,)
    document = json.loads((directory / "result.json").read_text())
    assert (document["exam"]["clips"], document["exam"]["frames"]) == (1, 25)
    (left,) = document["left_out"]
    assert left["code"] == "truncated"
    assert left["text"].startswith("b.dcm: PixelData (7FE0,0010): expected")


def test_a_clip_that_is_all_of_an_exam_is_its_refusal(
    clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (outcome,), _ = outcomes(clips[:1], monkeypatch, "a.dcm")
    assert outcome.status == "refused"
    assert [reason.code for reason in outcome.reasons] == ["truncated"]


def test_without_the_clip_that_washes_in_nothing_is_analysed(
    clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (outcome,), _ = outcomes(clips, monkeypatch, "a.dcm")
    assert [reason.code for reason in outcome.reasons] == ["truncated", "no-wash-in"]
    assert [reason.text[:5] for reason in outcome.reasons] == ["a.dcm", "b.dcm"]


def test_a_clip_that_gave_way_to_one_that_breaks_has_its_turn(
    wrap: ModuleType, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells which of two came first; the longer one breaks late."""
    rng = np.random.default_rng(12)
    anatomy = np.linspace(0.3, 1.7, COLUMNS)
    pane = wrap.speckle(rng, wrap.wash_in(FRAMES), ROWS, COLUMNS) * anatomy
    for name, count in (("long.dcm", FRAMES), ("short.dcm", FRAMES - 4)):
        wrap.native(
            tmp_path / name,
            np.clip(pane[:count], 0, 255).astype(np.uint8),
            photometric="MONOCHROME2",
            SOPInstanceUID=f"2.25.8{count}",
            SequenceOfUltrasoundRegions=[wrap.region(0, 0, ROWS, COLUMNS, 0.02)],
            AcquisitionDateTime="20200101120000",
            FrameTime=200.0,
        )
    paths = [tmp_path / "long.dcm", tmp_path / "short.dcm"]
    (outcome,), directory = outcomes(paths, monkeypatch, "long.dcm")
    assert outcome.reasons == (DECODED,)
    document = json.loads((directory / "result.json").read_text())
    assert document["exam"]["frames"] == FRAMES - 4
    assert [left["code"] for left in document["left_out"]] == ["truncated"]
