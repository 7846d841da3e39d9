"""Outlined lesions of a site's own cases: SEG and PNG come to lie on the lesion, or are refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from PIL import Image
from pydicom import Dataset
from scipy.ndimage import binary_erosion

from dicomnode.cli import cli
from dicomnode.dicom.exam import ReadSettings
from dicomnode.errors import InputError, RefusedError, SettingsError
from dicomnode.outputs.job import process
from dicomnode.outputs.request import Request
from dicomnode.recipe import Recipe
from dicomnode.training.segmentation.samples import CHANNELS
from dicomnode.training.site import exams as site_exams
from dicomnode.training.site.cohort import Enough, SiteCase, read_cohort
from dicomnode.training.site.exams import OutlinedExam, held_out, outlined_exams
from dicomnode.training.site.outline import (
    Outline,
    check_clips,
    in_pane,
    on_reference,
    read_outline,
)
from parts.outlined import Written, dice, draw, table, written

MODELS = Path(__file__).resolve().parents[2] / "models"
FIRST_SEED = 9_720_000


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A B-mode pane on the left, a contrast pane on the right, one clip."""
    return written(tmp_path_factory.mktemp("one") / "exam", FIRST_SEED)


@pytest.fixture(scope="module")
def two_clips(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return written(tmp_path_factory.mktemp("two") / "exam", FIRST_SEED + 1, clips=2)


def exams_of(path: Path) -> tuple[OutlinedExam, ...]:
    """All exams of a table, none of which is refused."""
    cohort = read_cohort(path, labelled=False, settings=ReadSettings())
    exams, refused = outlined_exams(cohort, path.parent / "work", Recipe())
    assert not refused
    return exams


def refused_lines(path: Path) -> dict[int, str]:
    """What is told of each line; every line is told of once."""
    with pytest.raises(SettingsError) as error:
        exams_of(path)
    told = dict(line.split(": ", 1) for line in str(error.value).splitlines()[1:])
    assert f"found {len(told)} faults" in str(error.value)
    return {int(line.removeprefix("  line ")): text for line, text in told.items()}


def moved_most(exam: Written) -> int:
    """The frame in plane on which the lesion lies farthest from where it is on the reference."""
    shift = exam.simulated.truth.shift_px
    off = np.hypot(*(shift - shift[exam.motion.reference]).T)
    return int(np.argmax(off * exam.motion.kept))


@pytest.mark.parametrize(
    ("layout", "pane"),
    [
        ("mono-left", "contrast"),
        ("mono-left", "bmode"),
        ("contrast-left", "contrast"),
        ("contrast-left", "bmode"),
        ("stacked", "contrast"),
        ("stacked", "bmode"),
        ("single", "contrast"),
    ],
)
def test_a_picture_of_either_pane_lies_on_the_lesion(
    layout: str, pane: str, tmp_path: Path
) -> None:
    exam = written(tmp_path / "exam", FIRST_SEED + 2, layout)
    draw(tmp_path / "lesion.png", exam.in_frame(getattr(exam.exam, pane)))
    (found,) = exams_of(table(tmp_path / "cases.csv", {"exam": "lesion.png"}))
    seen = found.seen()
    assert np.array_equal(seen.mask, exam.lesion())
    assert seen.spacing_mm == exam.exam.spacing_mm
    assert set(seen.images) == set(CHANNELS) - ({"bmode"} if layout == "single" else set())
    sample = found.sample()
    assert sample.present == (layout != "single", True, True, True, True)
    assert sample.mask.mean() == pytest.approx(seen.mask.mean(), rel=0.1)
    assert (sample.origin, sample.group) == ("site", "site-exam")


def test_the_nodes_own_seg_comes_back_as_it_was_sent(one: Written, tmp_path: Path) -> None:
    request = Request(models_dir=MODELS, maps=True)
    (outcome,) = process(sorted(one.folder.iterdir()), tmp_path / "out", request)
    assert outcome.status == "analysed", outcome.reasons
    with np.load(tmp_path / "out" / "maps.npz") as maps:
        sent = maps["lesion"] > 0
    outline = read_outline(tmp_path / "out" / "lesion.dcm")
    assert np.array_equal(outline.mask, sent)
    check_clips(outline, [one.exam.header])
    pane = in_pane(outline, one.exam)
    assert np.array_equal(on_reference(pane, outline, one.exam, one.motion), pane)
    assert dice(pane, one.lesion()) > 0.7


def test_a_seg_of_another_frame_is_moved_to_the_reference(one: Written, tmp_path: Path) -> None:
    frame = moved_most(one)
    assert dice(one.lesion(frame), one.lesion()) < 0.85
    outline = read_outline(one.write_seg(tmp_path / "seg.dcm", frame))
    assert outline.frame == frame + 1
    pane = in_pane(outline, one.exam)
    assert np.array_equal(pane, one.lesion(frame))
    assert dice(on_reference(pane, outline, one.exam, one.motion), one.lesion()) > 0.95


def test_a_frame_is_counted_within_its_own_clip(two_clips: Written, tmp_path: Path) -> None:
    first = len(two_clips.exam.clips[0].frame_times_s)
    frame = first + 11
    outline = read_outline(two_clips.write_seg(tmp_path / "seg.dcm", frame))
    assert (outline.frame, outline.clip_uid) == (12, two_clips.exam.clips[1].sop_instance_uid)
    far = two_clips.motion.shift_px.copy()
    far[11], far[frame] = (40.0, 40.0), (0.0, -3.0)
    kept = np.ones(len(far), np.bool_)
    motion = replace(two_clips.motion, shift_px=far, kept=kept)
    pane = in_pane(outline, two_clips.exam)
    moved = on_reference(pane, outline, two_clips.exam, motion)
    assert np.array_equal(moved[:, 3:], pane[:, :-3])
    kept[frame] = False
    with pytest.raises(RefusedError, match="on a frame in plane, found frame 12"):
        on_reference(pane, outline, two_clips.exam, motion)


def test_a_seg_that_names_no_frame_is_of_the_reference_frame(one: Written, tmp_path: Path) -> None:
    path = one.write_seg(tmp_path / "seg.dcm")
    changed(path, lambda seg: [source_of(group).pop("ReferencedFrameNumber") for group in seg])
    outline = read_outline(path)
    assert outline.frame is None
    moved = replace(one.motion, shift_px=one.motion.shift_px + 7)
    pane = in_pane(outline, one.exam)
    assert np.array_equal(on_reference(pane, outline, one.exam, moved), pane)


def changed(path: Path, change: Callable[[list[Dataset]], object]) -> None:
    """Change the functional groups of a SEG's frames."""
    seg = pydicom.dcmread(path)
    change(list(seg.PerFrameFunctionalGroupsSequence))
    seg.save_as(path)


def source_of(group: Dataset) -> Dataset:
    return group.DerivationImageSequence[0].SourceImageSequence[0]


def stored_by_a_viewer(path: Path, label: str) -> None:
    """OHIF calls every segment tissue and keeps its label."""
    seg = pydicom.dcmread(path)
    for segment in seg.SegmentSequence:
        item = segment.SegmentedPropertyTypeCodeSequence[0]
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "T-D0050", "SRT", "Tissue"
    seg.SegmentSequence[0].SegmentLabel = label
    seg.save_as(path)


def test_a_lesion_that_lost_its_code_is_known_by_its_label(one: Written, tmp_path: Path) -> None:
    path = one.write_seg(tmp_path / "seg.dcm")
    stored_by_a_viewer(path, "lesion ")
    assert np.array_equal(read_outline(path).mask, one.in_frame())
    stored_by_a_viewer(path, "Segment 1")
    with pytest.raises(InputError, match=r"one segment coded or called lesion.*found 3 segments"):
        read_outline(path)


def only_lesion(path: Path, **elements: object) -> Dataset:
    """Leave the first segment alone in a SEG, without code or label."""
    stored_by_a_viewer(path, "Segment 1")
    seg = pydicom.dcmread(path)
    mask = seg.pixel_array[0]
    seg.SegmentSequence = seg.SegmentSequence[:1]
    seg.PerFrameFunctionalGroupsSequence = seg.PerFrameFunctionalGroupsSequence[:1]
    seg.NumberOfFrames = 1
    for keyword, value in elements.items():
        setattr(seg, keyword, value)
    bits = np.packbits(mask.ravel(), bitorder="little")
    stored = bits if seg.BitsAllocated == 1 else mask * np.uint8(elements["level"])
    data = stored.tobytes()
    seg.PixelData = data + b"\0" * (len(data) % 2)
    seg["PixelData"].VR = "OB"
    return seg


EIGHT_BITS = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}


@pytest.mark.parametrize(
    "elements",
    [
        {"SegmentationType": "BINARY"},
        {"SegmentationType": "FRACTIONAL", "MaximumFractionalValue": 200, "level": 100}
        | EIGHT_BITS,
        {"SegmentationType": "LABELMAP", "level": 1} | EIGHT_BITS,
    ],
    ids=lambda elements: elements["SegmentationType"],
)
def test_the_only_segment_is_the_lesion_however_it_is_stored(
    elements: dict[str, object], one: Written, tmp_path: Path
) -> None:
    path = one.write_seg(tmp_path / "seg.dcm")
    only_lesion(path, **elements).save_as(path)
    assert np.array_equal(read_outline(path).mask, one.in_frame())


def test_less_than_half_of_a_pixel_is_no_lesion(one: Written, tmp_path: Path) -> None:
    path = one.write_seg(tmp_path / "seg.dcm")
    half = {"SegmentationType": "FRACTIONAL", "MaximumFractionalValue": 200, "level": 99}
    only_lesion(path, **half, **EIGHT_BITS).save_as(path)
    with pytest.raises(InputError, match=r"seg\.dcm: expected the lesion on one frame, found it"):
        read_outline(path)


def test_one_lesion_on_two_frames_is_refused(one: Written, tmp_path: Path) -> None:
    path = one.write_seg(tmp_path / "seg.dcm")
    first = "SegmentIdentificationSequence"
    changed(path, lambda seg: setattr(seg[1], first, seg[0][first].value))
    with pytest.raises(InputError, match="expected the lesion on one frame, found it on 2"):
        read_outline(path)


PICTURES: dict[str, Callable[[np.ndarray], Image.Image]] = {
    "one bit": lambda mask: Image.fromarray(mask),
    "labels": lambda mask: Image.fromarray(mask.astype(np.uint8)),
    "16 bit": lambda mask: Image.fromarray(mask.astype(np.uint16) * 256),
    "red on black": lambda mask: Image.fromarray(mask[..., None] * np.uint8([200, 0, 0])),
    "on nothing": lambda mask: Image.fromarray(
        np.dstack([np.full((*mask.shape, 3), 255, np.uint8), 255 * mask.astype(np.uint8)])
    ),
    "a ring": lambda mask: Image.fromarray(mask & ~binary_erosion(mask, iterations=2)),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_of_any_kind_are_read(kind: str, one: Written, tmp_path: Path) -> None:
    mask = np.zeros(one.shape, np.bool_)
    rows, columns = one.exam.contrast.slices
    mask[rows.start + 20 : rows.start + 60, columns.start + 30 : columns.start + 70] = True
    PICTURES[kind](mask).save(tmp_path / "lesion.png")
    outline = read_outline(tmp_path / "lesion.png")
    assert np.array_equal(in_pane(outline, one.exam), mask[one.exam.contrast.slices])


def test_damaged_files_are_refused_whatever_is_missing(one: Written, tmp_path: Path) -> None:
    whole = one.write_seg(tmp_path / "seg.dcm").read_bytes()
    picture = draw(tmp_path / "lesion.png", one.in_frame()).read_bytes()
    for content in (whole, picture):
        for share in np.linspace(0.02, 0.9, 25):
            (tmp_path / "torn").write_bytes(content[: round(share * len(content))])
            with pytest.raises(InputError, match=r"^torn: expected"):
                read_outline(tmp_path / "torn")
    with pytest.raises(
        InputError, match=r"expected a DICOM SEG with .*\(0062,0001\), found modality US"
    ):
        read_outline(one.exam.clips[0].path)


def test_what_the_headers_tell_is_told_at_once_before_any_frame_is_decoded(
    one: Written, two_clips: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = one.in_frame()
    draw(tmp_path / "good.png", whole)
    draw(tmp_path / "empty.png", np.zeros_like(whole))
    draw(tmp_path / "pane.png", one.lesion())
    (tmp_path / "notes.png").write_text("no picture")
    two_clips.write_seg(tmp_path / "other.dcm")
    late = one.write_seg(tmp_path / "late.dcm")
    changed(late, lambda seg: [setattr(source_of(g), "ReferencedFrameNumber", 999) for g in seg])
    image = one.write_seg(tmp_path / "image.dcm")
    changed(
        image,
        lambda seg: [setattr(source_of(g), "ReferencedSOPInstanceUID", "2.25.9") for g in seg],
    )
    rows = {}
    for number, name in enumerate(
        ("good.png", "empty.png", "pane.png", "notes.png", "other.dcm", "late.dcm", "image.dcm")
    ):
        copy(one, tmp_path / f"c{number}", number)
        rows[f"c{number}"] = name
    monkeypatch.setattr(SiteCase, "exam", None)
    assert refused_lines(table(tmp_path / "cases.csv", rows)) == {
        3: "lesion: empty.png: expected pixels of a lesion, found none",
        4: "lesion: pane.png: expected 224x96 pixels as the clip has, found 112x96",
        5: "lesion: notes.png: expected a DICOM SEG or a PNG, found neither",
        6: "lesion: other.dcm: expected a SEG of the case's study, found one of another study",
        7: "lesion: late.dcm: expected one of 112 frames, found frame 999",
        8: "lesion: image.dcm: expected a SEG of the case's clip, found one of another image",
    }


def copy(exam: Written, folder: Path, number: int) -> None:
    """The same clip with other bytes: a table must not hold the same files twice."""
    folder.mkdir()
    for path in exam.folder.iterdir():
        clip = pydicom.dcmread(path)
        clip.InstanceNumber = 100 + number
        clip.save_as(folder / path.name)


def test_what_the_panes_tell_is_told_at_once_before_any_loop_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam = written(tmp_path / "exam", FIRST_SEED + 3, "stacked")
    whole = exam.in_frame()
    draw(tmp_path / "good.png", whole)
    above = np.zeros_like(whole)
    above[2:20, 30:90] = True
    draw(tmp_path / "above.png", above)
    draw(tmp_path / "two.png", whole | exam.in_frame(exam.exam.bmode))
    inside = np.zeros_like(whole)
    inside[exam.exam.contrast.slices] = ~exam.lesion()
    draw(tmp_path / "inverted.png", inside)
    rows = {}
    for number, name in enumerate(("good.png", "above.png", "two.png", "inverted.png")):
        copy(exam, tmp_path / f"c{number}", number)
        rows[f"c{number}"] = name
    monkeypatch.setattr(site_exams, "load_loop", None)
    assert refused_lines(table(tmp_path / "cases.csv", rows)) == {
        3: "lesion: above.png: expected the lesion in one pane, found 0% in contrast, 0% in B-mode",
        4: "lesion: two.png: expected the lesion in one pane, found 50% in contrast, 50% in B-mode",
        5: "lesion: inverted.png: expected a lesion, found 100% of the pane marked",
    }


def test_a_hand_may_slip_over_the_edge_of_the_pane(one: Written) -> None:
    box = one.exam.contrast
    mask = np.zeros(one.shape, np.bool_)
    mask[20:60, box.column - 3 : box.column + 37] = True
    pane = in_pane(Outline(mask=mask, name="slipped"), one.exam)
    assert np.array_equal(pane, mask[box.slices])
    mask[20:60, box.column - 10 : box.column] = True
    with pytest.raises(InputError, match="79% in contrast, 21% in B-mode"):
        in_pane(Outline(mask=mask, name="slipped"), one.exam)


def test_a_seg_of_a_clip_without_contrast_is_refused(one: Written, two_clips: Written) -> None:
    outline = Outline(mask=one.in_frame(), name="seg", clip_uid=one.exam.clips[0].sop_instance_uid)
    check_clips(outline, [one.exam.header, two_clips.exam.header])
    with pytest.raises(InputError, match="found one of another image"):
        in_pane(outline, two_clips.exam)


def test_undecodable_exams_are_left_out_and_nothing_is_read_twice(
    one: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(one, tmp_path / "good", 1)
    one.write_seg(tmp_path / "good" / "seg.dcm")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("no exam")
    draw(tmp_path / "notes" / "lesion.png", one.in_frame())
    copy(one, tmp_path / "unread", 2)
    rows = {"good": "good/seg.dcm", "notes": "notes/lesion.png", "unread": ""}
    path = table(tmp_path / "cases.csv", rows)
    cohort = read_cohort(path, labelled=False, settings=ReadSettings())
    assert [case.name for case in cohort.outlined()].count("unread") == 0
    exams, refused = outlined_exams(cohort, tmp_path / "work", Recipe())
    assert [(each.name, each.reasons) for each in refused] == [("notes", ("not-dicom",))]
    assert [exam.patient for exam in exams] == ["good"]
    monkeypatch.setattr(site_exams, "load_loop", None)
    assert outlined_exams(cohort, tmp_path / "work", Recipe())[0] == exams
    one.write_seg(tmp_path / "good" / "seg.dcm", moved_most(one))
    with pytest.raises(TypeError, match="not callable"):
        outlined_exams(cohort, tmp_path / "work", Recipe())


def test_an_outline_is_no_part_of_its_exam(one: Written, tmp_path: Path) -> None:
    copy(one, tmp_path / "exam", 1)
    path = table(tmp_path / "cases.csv", {"exam": "exam/lesion.png"})
    keys = set()
    for grown in (0, 1):
        draw(tmp_path / "exam" / "lesion.png", np.roll(one.in_frame(), grown))
        (case,) = read_cohort(path, labelled=False, settings=ReadSettings()).cases
        keys.add(case.key)
    assert len(keys) == 1


def test_lines_whose_outline_is_missing_or_another_cases_are_named(
    one: Written, tmp_path: Path
) -> None:
    for number in range(3):
        copy(one, tmp_path / f"c{number}", number)
    draw(tmp_path / "lesion.png", one.in_frame())
    (tmp_path / "alone").mkdir()
    draw(tmp_path / "alone" / "lesion.png", one.in_frame())
    rows = {"c0": "lesion.png", "c1": "./lesion.png", "c2": "nowhere.png"}
    assert refused_lines(table(tmp_path / "cases.csv", rows | {"alone": "alone/lesion.png"})) == {
        3: "lesion: expected each once, got './lesion.png' as in line 2",
        4: "lesion: expected a file beside the table, got 'nowhere.png', which is none",
        5: "case: expected DICOM files in 'alone', it is empty",
    }


def test_a_fifth_of_the_patients_is_held_out_whoever_joins() -> None:
    patients = [f"p{number}" for number in range(100)]
    out = held_out([*patients, *patients], 1)
    assert len(out) == 20
    assert out == held_out(reversed(patients), 1)
    assert out != held_out(patients, 2)
    assert len(held_out([*patients, "another"], 1) & out) >= 19
    assert [len(held_out(patients[:count], 1)) for count in (5, 9, 10, 24)] == [1, 1, 2, 4]


def test_too_few_patients_are_counted_once_each() -> None:
    enough = Enough(patients=20, few=5, purpose="figures")
    patients = [f"p{number % 7}" for number in range(30)]
    assert enough.shortage(patients, few=False) == (
        "expected at least 20 patients for figures, got 7; --few learns from fewer, and the card "
        "says so"
    )
    assert enough.shortage(patients, few=True) == ""
    assert enough.shortage(patients[:4], few=True) == (
        "expected at least 5 patients for figures, got 4"
    )
    assert enough.remark(20) == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--fold", "1", "--cohort"], "--fold: expected without --cohort"),
        (["--fold", "1"], "--fold: expected --busi DIR"),
        (["--few"], "--few: expected --cohort cases.csv with it"),
        (["--config", "node.toml"], "--config: expected --cohort cases.csv with it"),
        (["--exams", "0"], "--exams: expected 4 or more without --cohort, got 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "node.toml").touch()
    path = table(tmp_path / "cases.csv", {})
    named = [*words, str(path)] if words[-1] == "--cohort" else words
    result = CliRunner().invoke(cli, ["train", "segmenter", *named], terminal_width=200)
    assert result.exit_code == 2
    assert told in result.output
