"""One bad file never takes a study with it: it is left out by name, the others are read."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.tag import Tag

from dicomnode.dicom.elements import tag_text
from dicomnode.dicom.exam import ReadSettings, Study, load_loop, read_study, study
from dicomnode.dicom.exam.clip import InspectedClip, inspect_clip
from dicomnode.errors import BrokenClipError
from parts.mutations import MUTATIONS, Mutation, Place, data_set, places

ROWS, COLUMNS, FRAMES = 48, 64, 12
SETTINGS = ReadSettings()
AT_FAULT = re.compile(r"^bad\.dcm: .*\([0-9A-F]{4},[0-9A-F]{4}\)")
OTHER_THINGS = {"not-ultrasound", "own-result", "not-ceus", "no-wash-in", "still", "too-small"}
"""Codes of files in which nothing is wrong."""


@dataclass(frozen=True, repr=False)
class Source:
    """A clip as it lies in a file: before, in and after its header."""

    meta: bytes
    header: Dataset
    pixels: bytes

    def changed(self, changes: dict[Place, Mutation]) -> bytes:
        return self.meta + data_set(self.header, changes) + self.pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def clip(wrap: ModuleType, folder: Path) -> Callable[..., Path]:
    """Write a small clip of one grey pane that washes in."""
    rng = np.random.default_rng(3)
    pixels = wrap.grey_rgb(wrap.speckle(rng, wrap.wash_in(FRAMES), ROWS, COLUMNS))

    def write(name: str, uid: str, begun: str) -> Path:
        return wrap.native(
            folder / name,
            pixels,
            SOPInstanceUID=uid,
            SequenceOfUltrasoundRegions=[wrap.region(0, 0, ROWS, COLUMNS, 0.02)],
            AcquisitionDateTime=begun,
            ProcessingFunction="LOG COMPRESSION 60 dB",
        )

    return write


@pytest.fixture(scope="module")
def good(clip: Callable[..., Path]) -> Path:
    return clip("good.dcm", "2.25.31", "20200101120000")


@pytest.fixture(scope="module")
def source(clip: Callable[..., Path]) -> Source:
    path = clip("bad.dcm", "2.25.32", "20200101120500")
    content, header = path.read_bytes(), dcmread(path)
    size = len(header.PixelData)
    del header.PixelData
    start = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, size)
    after_meta = 144 + int.from_bytes(content[140:144], "little")
    return Source(content[:after_meta], header, start + content[-size:])


def read(good: Path, content: bytes) -> Study:
    bad = good.with_name("bad.dcm")
    bad.write_bytes(content)
    return read_study([good, bad], SETTINGS)


def holds(found: Study) -> None:
    """The good clip is there, and what is left out is told with what is at fault."""
    assert [clip.path.name for clip in found.exams[0].clips][:1] == ["good.dcm"]
    for left in found.left_out:
        assert left.path.name == "bad.dcm"
        assert left.reason.code != "unforeseen-error", left.reason.text
        assert left.reason.code in OTHER_THINGS or AT_FAULT.search(left.reason.text), left.reason


ELEMENTS: dict[str, Place] = {
    tag_text(keyword): (Tag(keyword),)
    for keyword in (
        *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
        *("FrameTime", "FrameIncrementPointer", "NumberOfFrames", "Rows", "Columns"),
        *("BitsAllocated", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
        "SequenceOfUltrasoundRegions",
    )
} | {
    tag_text(keyword): ((Tag("SequenceOfUltrasoundRegions"), 0), Tag(keyword))
    for keyword in (
        *("RegionSpatialFormat", "RegionDataType", "PhysicalUnitsXDirection", "PhysicalDeltaX"),
        *("RegionLocationMinX0", "RegionLocationMaxY1"),
    )
}
USELESS = ("doubled", "a sequence", "bytes", "as a name", "digits of another alphabet", "negative")


@pytest.mark.parametrize("mutation", USELESS)
@pytest.mark.parametrize("element", ELEMENTS)
def test_an_element_that_decides_is_named_with_what_was_found(
    good: Path, source: Source, element: str, mutation: str
) -> None:
    found = read(good, source.changed({ELEMENTS[element]: MUTATIONS[mutation]}))
    holds(found)
    told = [left.reason for left in found.left_out]
    if not told or told[0].code in OTHER_THINGS:
        return
    named = element, "SequenceOfUltrasoundRegions (0018,6011)", "PixelData (7FE0,0010)"
    assert any(name in told[0].text for name in named), told


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 1000), st.sampled_from(sorted(MUTATIONS))), min_size=1, max_size=2
    )
)
def test_whatever_one_or_two_elements_say_the_other_clip_is_read(
    good: Path, source: Source, changes: list[tuple[int, str]]
) -> None:
    anywhere = list(places(source.header))
    chosen = {anywhere[number % len(anywhere)]: MUTATIONS[name] for number, name in changes}
    holds(read(good, source.changed(chosen)))


NESTED = b"".join(
    struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    + struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    for _ in range(1000)
)
WHOLE_FILES = {
    "empty": lambda source: b"",
    "text": lambda source: b"no DICOM" * 99,
    "meta alone": lambda source: source.meta,
    "no pixels": lambda source: source.meta + data_set(source.header, {}),
    "half the pixels": lambda source: source.changed({})[: -len(source.pixels) // 2],
    "half the header": lambda source: source.meta + data_set(source.header, {})[:-200],
    "no count and no pixels": lambda source: (
        source.meta + data_set(source.header, {(Tag("NumberOfFrames"),): lambda vr, _: (vr, b"")})
    ),
    "sequences 1,000 deep": lambda source: source.changed(
        {(Tag("SequenceOfUltrasoundRegions"),): lambda vr, _: (vr, NESTED)}
    ),
    "random bytes for a header": lambda source: (
        source.meta + np.random.default_rng(1).bytes(2000) + source.pixels
    ),
}


@pytest.mark.parametrize("case", WHOLE_FILES)
def test_a_file_that_is_no_clip_is_left_out(good: Path, source: Source, case: str) -> None:
    found = read(good, WHOLE_FILES[case](source))
    assert [clip.path.name for exam in found.exams for clip in exam.clips] == ["good.dcm"]
    (left,) = found.left_out
    assert left.reason.text.startswith("bad.dcm: expected") or AT_FAULT.match(left.reason.text)


@pytest.mark.parametrize("size", [1, 2, 7, 31])
def test_an_image_in_which_nothing_can_be_outlined_is_left_out(
    good: Path, wrap: ModuleType, size: int
) -> None:
    pixels = np.full((FRAMES, size, size, 3), 90, np.uint8)
    path = wrap.native(good.with_name("tiny.dcm"), pixels, SOPInstanceUID="2.25.33")
    (left,) = read_study([good, path], SETTINGS).left_out
    assert left.reason.code == "too-small"
    assert f"Rows (0028,0010) {size}" in left.reason.text


class Unforeseen(Exception):
    """An error that no rule knows, with data in its words."""


def breaks(inspection: InspectedClip, *_: object) -> None:
    if inspection.header.path.name == "bad.dcm":
        raise Unforeseen("MUSTER^ERIKA")


@pytest.mark.parametrize("stage", ["inspect_clip", "sort_into_injections", "display_properties"])
def test_an_error_nobody_foresaw_leaves_out_its_file_alone(
    good: Path, source: Source, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(study, stage)

    def stand_in(first: object, *args: object, **options: object) -> object:
        if stage == "inspect_clip":
            breaks(inspect_clip(first, sample_frames=16, minimum_frames=8))
        elif stage == "sort_into_injections":
            [breaks(inspection) for inspection in first]
        return real(first, *args, **options)

    if stage == "display_properties":
        sample = InspectedClip.sample
        monkeypatch.setattr(
            InspectedClip, "sample", lambda inspection: breaks(inspection) or sample(inspection)
        )
    monkeypatch.setattr(study, stage, stand_in)
    found = read(good, source.changed({}))
    assert [clip.path.name for exam in found.exams for clip in exam.clips] == ["good.dcm"]
    (left,) = found.left_out
    assert left.reason.code == "unforeseen-error"
    assert left.reason.text == "bad.dcm: expected a file that can be read, got Unforeseen"


def test_clips_that_break_only_together_cost_the_study_no_more_than_one(
    good: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = study.sort_into_injections

    def together(inspections: list[InspectedClip], **options: float) -> object:
        if len(inspections) > 1:
            raise Unforeseen("MUSTER^ERIKA")
        return real(inspections, **options)

    monkeypatch.setattr(study, "sort_into_injections", together)
    found = read(good, source.changed({}))
    assert len(found.exams) == len(found.left_out) == 1
    assert found.left_out[0].reason.code == "unforeseen-error"


def test_memory_that_runs_out_is_told_as_that(
    good: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, **options: int) -> object:
        if path.name == "bad.dcm":
            raise MemoryError
        return inspect_clip(path, **options)

    monkeypatch.setattr(study, "inspect_clip", full)
    (left,) = read(good, source.changed({})).left_out
    assert left.reason.code == "out-of-memory"
    assert left.reason.text.startswith("bad.dcm: ")


def test_a_clip_that_breaks_when_all_of_it_is_decoded_is_named(good: Path, source: Source) -> None:
    (exam,) = read(good, b"").exams
    kept = good.read_bytes()
    good.write_bytes(kept[: len(kept) // 2])
    try:
        with pytest.raises(BrokenClipError, match=r"good\.dcm: PixelData") as caught:
            load_loop(exam)
    finally:
        good.write_bytes(kept)
    assert caught.value.path == good
    without = read_study([good], SETTINGS, {good: caught.value.reason})
    assert without.exams == ()
    assert [left.reason for left in without.left_out] == [caught.value.reason]
