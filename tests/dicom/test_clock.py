"""Clips are put on one clock by what their headers say, or not at all."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import Dataset

from dicomnode.dicom.elements import Elements
from dicomnode.dicom.exam.clock import apart, overlap, place, tells_start


def header(**elements: object) -> Elements:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return Elements(dataset=dataset, file="a.dcm")


def test_clips_are_placed_with_their_gap_in_order_of_time() -> None:
    later = header(AcquisitionDateTime="20200101120100.5")
    earlier = header(AcquisitionDateTime="20200101120000")
    placed = place([later, earlier], [10.0, 30.0])
    assert placed is not None
    assert placed.order == (1, 0)
    assert placed.starts_s == (0.0, 60.5)
    assert placed.source == "AcquisitionDateTime"


def test_a_source_that_makes_clips_overlap_is_not_believed() -> None:
    first = header(AcquisitionDateTime="20200101", ContentDate="20200101", ContentTime="120000")
    second = header(AcquisitionDateTime="20200101", ContentDate="20200101", ContentTime="120100")
    placed = place([first, second], [30.0, 30.0])
    assert placed is not None
    assert placed.source == "ContentDate and ContentTime"
    assert place([first, first], [30.0, 30.0]) is None
    assert place([header(), header()], [30.0, 30.0]) is None


def test_time_zones_and_midnight_are_kept() -> None:
    first = header(AcquisitionDateTime="20200101235950+0100")
    second = header(AcquisitionDateTime="20200102000010", TimezoneOffsetFromUTC="+0100")
    placed = place([first, second], [5.0, 5.0])
    assert placed is not None
    assert placed.starts_s == (0.0, 20.0)


def test_a_zone_that_one_clip_alone_states_moves_nothing() -> None:
    first = header(AcquisitionDateTime="20200101120000+0100")
    second = header(AcquisitionDateTime="20200101120030")
    placed = place([first, second], [20.0, 20.0])
    assert placed is not None
    assert placed.starts_s == (0.0, 30.0)


def test_clips_far_apart_are_parts_whatever_overlaps_within_them() -> None:
    clips = [header(AcquisitionDateTime=f"202001011{at}") for at in ("30010", "20000", "20005")]
    assert apart(clips, [30.0] * 3, 600.0) == [(1, 2), (0,)]
    assert apart([*clips, header()], [30.0] * 4, 600.0) == [(0, 1, 2, 3)]
    assert [tells_start(clip) for clip in (clips[0], header())] == [True, False]


def test_an_overlap_by_rounding_is_closed_up() -> None:
    clips = [header(AcquisitionDateTime=f"2020010112{m:02}00") for m in (0, 1)]
    placed = place(clips, [60.4, 30.0])
    assert placed is not None
    assert placed.starts_s == (0.0, 60.4)


@given(
    text=st.text(max_size=20),
    other=st.text(max_size=20),
)
@example(text=" ", other="\x1f")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_senseless_dates_place_nothing_and_never_crash(text: str, other: str) -> None:
    clips = [header(), header()]
    for clip, value in zip(clips, (text, other), strict=True):
        clip.dataset.add_new("AcquisitionDateTime", "LO", value)
        clip.dataset.add_new("ContentDate", "LO", value)
        clip.dataset.add_new("ContentTime", "LO", other)
    placed = place(clips, [1.0, 1.0])
    assert placed is None or placed.starts_s[0] == 0.0


def test_a_clip_that_had_not_ended_when_the_next_began_is_told() -> None:
    clips = [header(AcquisitionDateTime=f"2020010112{m:02}00") for m in (0, 1)]
    assert overlap(clips, [60.0, 30.0]) is None
    said = overlap(clips, [1998.0, 30.0])
    assert said is not None
    assert "lasts 2e+03 s" in said
    assert said.endswith("begins 60 s after it by AcquisitionDateTime (0008,002A)")
    assert overlap([clips[0], clips[0]], [60.0, 60.0]) is None, "one stamp for both says nothing"
    assert overlap([clips[0], header()], [60.0, 60.0]) is None
