"""A study's contrast exams are found, and everything else is left out in words."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.pixels import convert_color_space
from scipy.ndimage import gaussian_filter

from dicomnode.dicom.exam import ReadSettings, Study, load_loop, read_study
from dicomnode.dicom.header import read_header

ROWS, COLUMNS, FRAMES = 96, 112, 40
SETTINGS = ReadSettings()


def region_pair(wrap: ModuleType, spacing_cm: tuple[float, float] = (0.02, 0.02)) -> list[Any]:
    return [
        wrap.region(0, left, ROWS, COLUMNS, cm)
        for left, cm in zip((0, COLUMNS), spacing_cm, strict=True)
    ]


@pytest.fixture(scope="module")
def panes(wrap: ModuleType) -> tuple[np.ndarray, np.ndarray]:
    """B-mode and contrast grey levels over one injection."""
    rng = np.random.default_rng(11)
    bmode = wrap.speckle(rng, np.full(FRAMES, 55.0), ROWS, COLUMNS)
    return bmode, wrap.speckle(rng, wrap.wash_in(FRAMES), ROWS, COLUMNS)


@pytest.fixture
def clip(wrap: ModuleType, panes: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> Any:
    """Write frames ``part`` of the exam as a dual-pane clip; elements override the header."""

    def write(name: str, part: slice = slice(None), **elements: object) -> Path:
        bmode, contrast = (pane[part] for pane in panes)
        pixels = np.concatenate([wrap.grey_rgb(bmode), wrap.amber(contrast)], axis=2)
        told = {
            "SOPInstanceUID": f"2.25.{int.from_bytes(name.encode())}",
            "SequenceOfUltrasoundRegions": region_pair(wrap),
            **elements,
        }
        return wrap.native(tmp_path / name, pixels, **told)

    return write


def codes(study: Study) -> dict[str, str]:
    return {file.path.name: file.reason.code for file in study.left_out}


@pytest.mark.shared_data
@pytest.mark.parametrize("whole_image", [False, True], ids=["two regions", "one region"])
def test_the_real_clip_is_found_with_both_panes(
    shared_data: Path, wrap: ModuleType, tmp_path: Path, whole_image: bool
) -> None:
    path = wrap.wrap_real_clip(shared_data, tmp_path / "real.dcm", whole_image=whole_image)
    study = read_study([path], SETTINGS)
    assert study.left_out == ()
    (exam,) = study.exams
    assert exam.layout == "side by side"
    assert exam.contrast.column == wrap.PANE_COLUMNS
    assert exam.bmode is not None
    assert exam.bmode.column == 0
    assert exam.colour_map == "amber, read from the colour bar"
    np.testing.assert_allclose(exam.spacing_mm, 10 / wrap.ROWS_PER_CM)
    loop = load_loop(exam)
    assert loop.bmode is not None
    assert 0.01 < loop.graphics.mean() < 0.06
    top = 5 - exam.contrast.row
    assert loop.graphics[top : top + 90, 10:26].all(), "the colour bar"
    assert loop.graphics[top : top + 18, 64:84].mean() > 0.5, "the badges"
    assert loop.contrast[-5:].mean() > 1.5 * loop.contrast[0].mean()


@pytest.mark.shared_data
def test_no_real_clip_of_something_else_is_taken_for_ceus(shared_data: Path) -> None:
    paths = sorted((shared_data / "us_dicom").glob("*.dcm"))
    study = read_study(paths, SETTINGS)
    assert study.exams == ()
    assert [file.path for file in study.left_out] == paths
    assert all(file.reason.text.startswith("not CEUS") for file in study.left_out)


def test_a_dual_pane_clip_becomes_a_loop(clip: Any, panes: tuple[np.ndarray, np.ndarray]) -> None:
    study = read_study([clip("a.dcm")], SETTINGS)
    (exam,) = study.exams
    assert study.study_uid == exam.study_uid == "2.25.1"
    assert (exam.injection, exam.layout, exam.colour_map) == (1, "side by side", "amber")
    assert exam.spacing_mm == pytest.approx((0.2, 0.2))
    assert (exam.dynamic_range_db, exam.dynamic_range_source) == (60.0, "default")
    loop = load_loop(exam)
    np.testing.assert_array_equal(loop.bmode, panes[0])
    assert np.abs(loop.contrast.astype(int) - panes[1]).mean() < 3
    np.testing.assert_allclose(loop.times_s, np.arange(FRAMES) * 0.5)


def test_the_sites_dynamic_range_wins(clip: Any) -> None:
    study = read_study([clip("a.dcm")], ReadSettings(dynamic_range_db=50.0))
    assert (study.exams[0].dynamic_range_db, study.exams[0].dynamic_range_source) == (
        50.0,
        "settings",
    )


def test_clips_of_one_injection_share_a_clock_with_the_gap(clip: Any) -> None:
    late = clip("b.dcm", slice(25, None), AcquisitionDateTime="20200101120020")
    early = clip("a.dcm", slice(0, 25), AcquisitionDateTime="20200101120000")
    study = read_study([late, early], SETTINGS)
    (exam,) = study.exams
    assert [file.path.name for file in exam.clips] == ["a.dcm", "b.dcm"]
    expected = np.concatenate([np.arange(25) * 0.5, 20 + np.arange(15) * 0.5])
    np.testing.assert_allclose(exam.times_s, expected)
    where, number = exam.frame_of(25)
    assert (where.path.name, number) == ("b.dcm", 1)
    with pytest.raises(IndexError, match="below 40, got 40"):
        exam.frame_of(FRAMES)
    assert load_loop(exam).contrast.shape == (FRAMES, ROWS, COLUMNS)


def test_a_later_clip_that_starts_without_contrast_is_a_second_injection(clip: Any) -> None:
    first = clip("a.dcm", AcquisitionDateTime="20200101120000")
    second = clip("b.dcm", AcquisitionDateTime="20200101120500")
    study = read_study([second, first], SETTINGS)
    assert [(e.injection, e.clips[0].path.name) for e in study.exams] == [
        (1, "a.dcm"),
        (2, "b.dcm"),
    ]
    assert study.exams[1].times_s[0] == 0.0


def test_the_wash_out_of_a_grey_single_pane_is_known_by_its_wash_in(
    wrap: ModuleType, panes: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    anatomy = np.linspace(0.3, 1.7, COLUMNS)
    contrast = np.clip(panes[1] * anatomy, 0, 255).astype(np.uint8)
    paths = [
        wrap.native(
            tmp_path / f"{number}.dcm",
            contrast[part],
            photometric="MONOCHROME2",
            SOPInstanceUID=f"2.25.9{number}",
            SequenceOfUltrasoundRegions=[wrap.region(0, 0, ROWS, COLUMNS, 0.02)],
            AcquisitionDateTime=f"2020010112000{number}",
            FrameTime=200.0,
        )
        for number, part in ((0, slice(0, 25)), (6, slice(25, None)))
    ]
    (exam,) = read_study(paths, SETTINGS).exams
    assert (len(exam.clips), exam.layout, exam.bmode) == (2, "single", None)


def test_clips_that_cannot_be_placed_are_not_joined(clip: Any) -> None:
    same = {"AcquisitionDateTime": "20200101120000", "ContentTime": "120000"}
    study = read_study([clip("a.dcm", **same), clip("b.dcm", slice(0, 30), **same)], SETTINGS)
    assert [exam.clips[0].path.name for exam in study.exams] == ["a.dcm"]
    assert codes(study) == {"b.dcm": "no-clock"}


NO_CLOCK = dict.fromkeys(("AcquisitionDateTime", "ContentDate", "ContentTime"))


@pytest.mark.parametrize(
    ("others", "lost"),
    [
        ({"b.dcm": {"AcquisitionDateTime": "20200101120010"}}, "b.dcm"),
        ({"b.dcm": {"AcquisitionDateTime": "20200101120000"}}, "b.dcm"),
        ({"b.dcm": NO_CLOCK}, "b.dcm"),
        ({"b.dcm": NO_CLOCK, "d.dcm": {"AcquisitionDateTime": "20200101130015"}}, "b.dcm d.dcm"),
    ],
)
def test_clips_that_cannot_be_placed_cost_no_other_injection_its_result(
    clip: Any, others: dict[str, dict[str, object]], lost: str
) -> None:
    stamps = {"ContentTime": "120000"}
    first = clip("a.dcm", AcquisitionDateTime="20200101120000", **stamps)
    later = clip("c.dcm", AcquisitionDateTime="20200101130000", **stamps)
    unplaced = [clip(name, **{**stamps, **elements}) for name, elements in others.items()]
    study = read_study([first, later, *unplaced], SETTINGS)
    assert [exam.clips[0].path.name for exam in study.exams] == ["a.dcm", "c.dcm"]
    assert codes(study) == dict.fromkeys(lost.split(), "no-clock")


def test_clips_that_overlap_cost_no_injection_minutes_later_its_result(clip: Any) -> None:
    stamps = {"a.dcm": "120000", "b.dcm": "120010", "c.dcm": "120500"}
    parts = {"a.dcm": slice(None), "b.dcm": slice(0, 30), "c.dcm": slice(0, 35)}
    at = {name: {"AcquisitionDateTime": f"20200101{stamps[name]}"} for name in stamps}
    study = read_study([clip(n, parts[n], ContentTime=None, **at[n]) for n in stamps], SETTINGS)
    assert [exam.clips[0].path.name for exam in study.exams] == ["a.dcm", "c.dcm"]
    assert codes(study) == {"b.dcm": "no-clock"}


def test_a_clip_that_goes_on_where_others_overlap_is_not_placed(clip: Any) -> None:
    at = {"a.dcm": "120000", "b.dcm": "120005", "c.dcm": "120020"}
    parts = {"a.dcm": slice(0, 25), "b.dcm": slice(0, 20), "c.dcm": slice(25, None)}
    paths = [
        clip(n, parts[n], ContentTime=None, AcquisitionDateTime=f"20200101{at[n]}") for n in at
    ]
    study = read_study(paths, SETTINGS)
    assert [[c.path.name for c in exam.clips] for exam in study.exams] == [["a.dcm"]]
    assert codes(study) == {"b.dcm": "no-clock", "c.dcm": "no-clock"}


def test_a_longer_clip_without_a_clock_costs_two_injections_nothing(clip: Any) -> None:
    at = {"b.dcm": "120000", "c.dcm": "130000"}
    told = [clip(n, slice(0, 30), AcquisitionDateTime=f"20200101{t}") for n, t in at.items()]
    study = read_study([clip("a.dcm", **NO_CLOCK), *told], SETTINGS)
    assert [exam.clips[0].path.name for exam in study.exams] == ["b.dcm", "c.dcm"]
    assert codes(study) == {"a.dcm": "no-clock"}


def test_the_longest_clip_is_kept_even_if_only_others_tell_their_time(clip: Any) -> None:
    long, short = clip("a.dcm", **NO_CLOCK), clip("b.dcm", slice(0, 30))
    study = read_study([long, short], SETTINGS)
    assert [exam.clips[0].path.name for exam in study.exams] == ["a.dcm"]
    assert codes(study) == {"b.dcm": "no-clock"}


@pytest.mark.parametrize(
    ("elements", "code", "text"),
    [
        ({"FrameTime": None}, "no-timing", "found neither"),
        ({"SequenceOfUltrasoundRegions": None}, "no-regions", r"\(0018,6011\)"),
        ({"FrameTime": 0.001}, "bad-timing", "found 0.001"),
        ({"NumberOfFrames": 39}, "wrong-number-of-frames", r"expected 39 frames"),
        ({"NumberOfFrames": 0}, "no-frames", "found 0"),
        ({"PixelData": None}, "no-pixel-data", "found none"),
        (
            {"SOPClassUID": pydicom.uid.CTImageStorage},
            "not-ultrasound",
            "expected ultrasound, found CT Image Storage",
        ),
        ({"ManufacturerModelName": "dicomnode CEUS"}, "own-result", "a result of this software"),
    ],
)
def test_a_clip_that_cannot_be_measured_is_left_out_and_the_next_is_not(
    clip: Any, elements: dict[str, object], code: str, text: str
) -> None:
    study = read_study([clip("bad.dcm", **elements), clip("good.dcm")], SETTINGS)
    assert [exam.clips[0].path.name for exam in study.exams] == ["good.dcm"]
    (left,) = study.left_out
    assert left.reason.code == code
    assert re.search(text, left.reason.text)


def test_a_region_that_overhangs_the_image_is_refused(clip: Any, wrap: ModuleType) -> None:
    wide = [wrap.region(0, 0, 3 * ROWS, 3 * COLUMNS, 0.02)]
    study = read_study([clip("a.dcm", SequenceOfUltrasoundRegions=wide)], SETTINGS)
    assert codes(study) == {"a.dcm": "bad-regions"}


def test_b_mode_on_another_scale_is_not_used(clip: Any, wrap: ModuleType) -> None:
    regions = region_pair(wrap, (0.04, 0.02))
    (exam,) = read_study([clip("a.dcm", SequenceOfUltrasoundRegions=regions)], SETTINGS).exams
    assert exam.bmode is None
    assert exam.spacing_mm == pytest.approx((0.2, 0.2))
    assert "B-mode pane is not used" in exam.warnings[-1]


def test_a_pixel_that_is_many_times_wider_than_high_is_refused(clip: Any, wrap: ModuleType) -> None:
    one = wrap.region(0, 0, ROWS, 2 * COLUMNS, 0.05)
    one.PhysicalDeltaY = one.PhysicalDeltaX / 10
    study = read_study([clip("a.dcm", SequenceOfUltrasoundRegions=[one])], SETTINGS)
    assert codes(study) == {"a.dcm": "bad-regions"}
    found = r"\(0018,602C\): expected that and .*\(0018,602E\) .*found 0\.05 and 0\.005 cm"
    assert re.search(found, study.left_out[0].reason.text)


def test_a_pane_in_two_regions_of_other_scales_is_refused(clip: Any, wrap: ModuleType) -> None:
    regions = [*region_pair(wrap), wrap.region(0, 0, ROWS, 2 * COLUMNS, 0.05)]
    study = read_study([clip("a.dcm", SequenceOfUltrasoundRegions=regions)], SETTINGS)
    assert codes(study) == {"a.dcm": "bad-regions"}
    text = study.left_out[0].reason.text
    assert re.search(r"a\.dcm: .*\(0018,602C\) .*0\.5 × 0\.5 and 0\.2 × 0\.2 mm", text)


def test_a_class_that_is_none_is_named_as_that(clip: Any) -> None:
    (left,) = read_study([clip("a.dcm", SOPClassUID="1.2.3.4")], SETTINGS).left_out
    assert left.reason.text.endswith(
        "SOPClassUID (0008,0016): expected ultrasound, found another UID"
    )


@pytest.mark.parametrize("label", ["YBR_FULL", "RGB"])
def test_samples_that_are_not_what_they_are_labelled_are_no_doppler(
    wrap: ModuleType, panes: tuple[np.ndarray, np.ndarray], tmp_path: Path, label: str
) -> None:
    rgb = np.concatenate([wrap.grey_rgb(panes[0]), wrap.amber(panes[1])], axis=2)
    other = convert_color_space(rgb, "RGB", "YBR_FULL") if label == "RGB" else rgb
    regions = region_pair(wrap)
    path = wrap.native(
        tmp_path / "a.dcm", other, photometric=label, SequenceOfUltrasoundRegions=regions
    )
    study = read_study([path], SETTINGS)
    assert codes(study) == {"a.dcm": "contradicting-photometric"}
    assert f"(0028,0004): expected {label} samples" in study.left_out[0].reason.text


@pytest.mark.parametrize("smooth_px", [0, 2], ids=["speckle", "smooth"])
def test_planes_that_are_said_to_alternate_are_no_picture(
    wrap: ModuleType, panes: tuple[np.ndarray, np.ndarray], tmp_path: Path, smooth_px: float
) -> None:
    rgb = np.concatenate([wrap.grey_rgb(panes[0]), wrap.amber(panes[1])], axis=2)
    rgb = gaussian_filter(rgb, (0, smooth_px, smooth_px, 0))
    planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 1)).reshape(rgb.shape)
    found = {}
    for stated in (0, 1):
        told = {"PlanarConfiguration": stated, "SequenceOfUltrasoundRegions": region_pair(wrap)}
        study = read_study([wrap.native(tmp_path / f"{stated}.dcm", planes, **told)], SETTINGS)
        found[stated] = [left.reason.text for left in study.left_out]
    assert found[1] == []
    assert "0.dcm: PlanarConfiguration (0028,0006): expected 1" in found[0][0]


def test_the_same_instance_twice_is_one_clip(clip: Any, tmp_path: Path) -> None:
    path = clip("a.dcm")
    again = tmp_path / "again.dcm"
    again.write_bytes(path.read_bytes())
    study = read_study([path, again], SETTINGS)
    assert len(study.exams) == 1
    assert codes(study) == {"again.dcm": "duplicate"}


def test_garbage_and_missing_files_are_left_out(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x00" * 128 + b"DICM" + b"\xff" * 300)
    study = read_study([garbage, tmp_path / "missing", tmp_path], SETTINGS)
    assert study.exams == ()
    assert len(study.left_out) == 3


@pytest.mark.parametrize("stated", [b"ISO_IR 999", b"ISO_IR 192", b"GB18030   "])
def test_a_wrong_character_set_is_told_and_does_not_stop_reading(clip: Any, stated: bytes) -> None:
    path = clip("a.dcm", SpecificCharacterSet="ISO_IR 100")
    content = path.read_bytes()
    assert content.count(b"Test^Wrapped") == content.count(b"ISO_IR 100") == 1
    content = content.replace(b"Test^Wrapped", b"T\xe9st^Wr\xff\xe4ped")
    path.write_bytes(content.replace(b"ISO_IR 100", stated))
    header = read_header(path)
    assert header.warnings
    assert "t^W" in str(header.dataset.PatientName)
    (exam,) = read_study([path], SETTINGS).exams
    assert any("a.dcm" in warning for warning in exam.warnings)
    pydicom.dcmwrite(path.with_name("b.dcm"), exam.header, enforce_file_format=True)
