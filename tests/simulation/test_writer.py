import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import convert_color_space, pixel_array

from dicomnode.simulation import SimulatedExam, recipe_for, simulate, write, write_truth
from dicomnode.simulation.refusals import bmode_only
from dicomnode.simulation.screen import LAYOUTS
from dicomnode.simulation.tints import TINTS, colours

CASES = [
    ("mono-left", "jpeg", {}),
    ("contrast-left", "rle", {"clips": 2}),
    ("wide-header", "explicit", {"jitter": 0.2, "tint": "gold"}),
    ("stacked", "jpeg", {"injection": 2}),
    ("single", "rle", {"tint": "grey"}),
]


def small(layout: str, syntax: str, **overrides: object) -> SimulatedExam:
    recipe = recipe_for(
        "benign", 8, preset="small", frames=6, layout=layout, transfer_syntax=syntax, **overrides
    )
    return simulate(recipe)


@pytest.mark.parametrize(("layout", "syntax", "overrides"), CASES)
def test_written_clips_read_back(
    layout: str, syntax: str, overrides: dict[str, object], tmp_path: Path
) -> None:
    sim = small(layout, syntax, **overrides)
    paths = write(sim, tmp_path)
    assert len(paths) == sim.recipe.pane.clips
    ds = dcmread(paths[0])
    decoded = pixel_array(ds)
    painted = np.stack(list(sim.frames(0, int(ds.NumberOfFrames))))
    assert decoded.shape == painted.shape
    if syntax != "jpeg":
        np.testing.assert_array_equal(decoded, painted)
    else:
        assert np.abs(decoded.astype(int) - painted).mean() < 5


@pytest.mark.parametrize(("layout", "syntax", "overrides"), CASES)
def test_regions_frame_the_panes(
    layout: str, syntax: str, overrides: dict[str, object], tmp_path: Path
) -> None:
    sim = small(layout, syntax, **overrides)
    ds = dcmread(write(sim, tmp_path)[0])
    regions = ds.SequenceOfUltrasoundRegions
    panes = 1 if layout == "single" or LAYOUTS[layout].one_region else 2
    assert len(regions) == panes
    contrast = sim.screen.contrast
    assert any(
        r.RegionLocationMinX0 <= contrast.column <= r.RegionLocationMaxX1
        and r.RegionLocationMinY0 <= contrast.row <= r.RegionLocationMaxY1
        for r in regions
    )
    assert all(r.PhysicalUnitsXDirection == 3 for r in regions)
    assert regions[0].PhysicalDeltaX * 10 == pytest.approx(sim.recipe.pane.spacing_mm)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools")
@pytest.mark.parametrize(("layout", "syntax", "overrides"), CASES)
def test_dciodvfy_finds_no_error(
    layout: str, syntax: str, overrides: dict[str, object], tmp_path: Path
) -> None:
    for path in write(small(layout, syntax, **overrides), tmp_path):
        run = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        assert "Error" not in run.stdout + run.stderr


@pytest.mark.parametrize("syntax", ["jpeg", "rle", "explicit"])
def test_the_same_recipe_gives_the_same_bytes(syntax: str, tmp_path: Path) -> None:
    first = write(small("mono-left", syntax), tmp_path / "a")
    second = write(small("mono-left", syntax), tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_everything_says_that_it_is_simulated(tmp_path: Path) -> None:
    ds = dcmread(write(small("mono-left", "jpeg"), tmp_path)[0])
    for keyword in ("PatientName", "ImageComments", "PatientComments", "SeriesDescription"):
        assert "SIMULATED" in str(ds[keyword].value)
    assert ds.Manufacturer == "dicomnode simulator"
    assert ds.StudyInstanceUID.startswith("2.25.")
    assert all(uid.is_valid for uid in (ds.SOPInstanceUID, ds.SeriesInstanceUID))


def test_clips_carry_their_clock(tmp_path: Path) -> None:
    sim = small("mono-left", "jpeg", clips=2, gap_s=5.0, jitter=0.3)
    one, two = (dcmread(path) for path in write(sim, tmp_path))
    assert float(one.FrameTimeVector[0]) == 0
    length_s = sum(float(step) for step in one.FrameTimeVector) / 1000
    assert length_s == pytest.approx(sim.loop.times_s[2])
    begun_s = float(two.AcquisitionTime) - float(one.AcquisitionTime)
    assert begun_s == pytest.approx(sim.loop.times_s[3], abs=1e-6)


def test_injections_share_a_study_and_no_instance(tmp_path: Path) -> None:
    one = dcmread(write(small("mono-left", "jpeg"), tmp_path)[0])
    two = dcmread(write(small("mono-left", "jpeg", injection=2), tmp_path)[0])
    assert one.StudyInstanceUID == two.StudyInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert float(two.AcquisitionTime) > float(one.AcquisitionTime)


def test_another_recipe_is_another_study(tmp_path: Path) -> None:
    one = dcmread(write(small("mono-left", "jpeg"), tmp_path)[0])
    two = dcmread(write(small("stacked", "jpeg"), tmp_path)[0])
    assert one.StudyInstanceUID != two.StudyInstanceUID


def test_truth_lies_beside_the_clips(tmp_path: Path) -> None:
    sim = small("mono-left", "jpeg")
    arrays, words = write_truth(sim, tmp_path)
    kept = np.load(arrays)
    np.testing.assert_array_equal(kept["subregion_map"], sim.truth.subregion_map)
    facts = json.loads(words.read_text())
    assert facts["label"] == "benign"
    assert "Not a patient" in facts["simulated"]
    assert facts["recipe"]["display"]["layout"] == "mono-left"


def test_bmode_only_can_be_written(tmp_path: Path) -> None:
    ds = dcmread(write(bmode_only(4, frames=5), tmp_path)[0])
    assert "ContrastBolusAgent" not in ds
    assert ds.UltrasoundColorDataPresent == 0


@pytest.mark.parametrize("tint", TINTS)
def test_luma_of_a_tint_rises_with_grey_level(tint: str) -> None:
    rgb = colours(tint)[None]
    luma = convert_color_space(rgb, "RGB", "YBR_FULL")[0, :, 0].astype(int)
    assert (np.diff(luma) >= 0).all()
    assert np.ptp(luma) > 200
