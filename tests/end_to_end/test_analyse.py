"""``dicomnode analyse``: files in, files out, and an exit status that says what happened."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from pydicom import dcmread

from dicomnode.cli import cli
from dicomnode.record.schema import Record
from dicomnode.simulation import write
from dicomnode.simulation.refusals import bmode_only

FILES = {
    "seg.dcm",
    "sr.dcm",
    "overlay.dcm",
    "keyframe.dcm",
    "lesion.dcm",
    "report.dcm",
    "report.png",
    "result.json",
}
US_MULTI_FRAME = (
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.3",
)

Command = Callable[..., Any]


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def result(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "result.json").read_text())
    return found


def check_analysed(directory: Path) -> None:
    """Every file of the plan is there, and they agree."""
    assert names(directory) == FILES | {"maps.npz"}
    document = Record.model_validate(result(directory))
    assert document.status == "analysed"
    assert document.exam is not None
    assert document.lesion is not None
    assert not document.reasons
    for output in document.outputs:
        path = directory / output.path
        if output.sop_instance_uid:
            ds = dcmread(path, stop_before_pixels=True)
            assert (ds.SOPClassUID, ds.SOPInstanceUID) == (
                output.sop_class_uid,
                output.sop_instance_uid,
            )
            assert ds.StudyInstanceUID == document.exam.study_uid
    assert sum(region.fraction or 0 for region in document.subregions) == pytest.approx(1, abs=1e-3)
    with np.load(directory / "maps.npz") as maps:
        assert {"lesion", "subregion", "PE", "TTP", "quality"} <= set(maps)
        spacing = np.prod(document.exam.spacing_mm)
        assert maps["lesion"].sum() * spacing == pytest.approx(document.lesion.area_mm2, rel=1e-3)
        assert ((maps["subregion"] > 0) == (maps["lesion"] > 0)).all()
    with Image.open(directory / "report.png") as page:
        assert page.size > (800, 600)


def test_a_simulated_exam_gives_every_file_of_the_plan(
    dicomnode: Command, simulated: Callable[..., list[Path]], tmp_path: Path
) -> None:
    clips = simulated(clips=2)
    done = dicomnode("analyse", *clips, "-o", tmp_path / "out", "--maps")
    assert done.returncode == 0, done.stderr
    check_analysed(tmp_path / "out")
    found = result(tmp_path / "out")
    assert (found["exam"]["clips"], found["exam"]["frames"]) == (2, 110)
    for words in ("Probability of malignancy", "assumes half", "mm²", "Research use only"):
        assert words in done.stdout
    for name in FILES:
        assert str(tmp_path / "out" / name) in done.stdout


def test_a_bmode_loop_is_refused_with_reasons(dicomnode: Command, tmp_path: Path) -> None:
    clips = write(bmode_only(5, frames=20), tmp_path / "in")
    done = dicomnode("analyse", *clips, "-o", tmp_path / "out")
    assert done.returncode == 3, done.stderr
    assert names(tmp_path / "out") == {"sr.dcm", "result.json"}
    (reason,) = result(tmp_path / "out")["reasons"]
    assert reason["code"] == "no-wash-in"
    assert "not CEUS" in reason["text"]
    assert reason["text"] in done.stdout.replace("\n", " ")


def test_wrong_usage_is_told_apart(
    dicomnode: Command, simulated: Callable[..., list[Path]], tmp_path: Path
) -> None:
    nothing = dicomnode("analyse", "-o", tmp_path / "out")
    assert nothing.returncode == 2
    assert "Missing argument" in nothing.stderr
    two = dicomnode("analyse", *simulated(), *simulated(seed=12), "-o", tmp_path / "out")
    assert two.returncode == 2
    assert "expected the files of one study, found 2 studies" in two.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.shared_data
def test_the_real_clip_gives_every_file_of_the_plan(
    dicomnode: Command, shared_data: Path, wrap: ModuleType, tmp_path: Path
) -> None:
    clip = wrap.wrap_real_clip(shared_data, tmp_path / "real.dcm")
    done = dicomnode("analyse", clip, "-o", tmp_path / "out", "--maps")
    assert done.returncode == 0, done.stderr
    check_analysed(tmp_path / "out")
    found = result(tmp_path / "out")
    assert (found["exam"]["layout"], found["exam"]["frames"]) == ("side by side", 20)
    assert "amber" in found["exam"]["colour_map"]
    seg = dcmread(tmp_path / "out" / "seg.dcm", stop_before_pixels=True)
    real = dcmread(clip, stop_before_pixels=True)
    assert (seg.Rows, seg.Columns) == (real.Rows, real.Columns)


@pytest.mark.shared_data
def test_no_real_clip_of_another_kind_is_analysed(shared_data: Path, tmp_path: Path) -> None:
    clips = [
        path
        for path in sorted((shared_data / "us_dicom").glob("*.dcm"))
        if dcmread(path, stop_before_pixels=True).get("NumberOfFrames", 1) > 1
    ]
    assert len(clips) >= 6
    for clip in clips:
        out = tmp_path / clip.stem
        done = CliRunner().invoke(cli, ["analyse", str(clip), "-o", str(out)])
        assert done.exit_code == 3, (clip.name, done.output)
        (reason,) = result(out)["reasons"]
        assert "not CEUS" in reason["text"], clip.name
        assert names(out) == {"sr.dcm", "result.json"}
