"""Times come from the file or not at all."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import Dataset

from dicomnode.dicom.elements import Elements
from dicomnode.dicom.exam.clock import frame_times_s, place
from dicomnode.errors import InputError


def header(**elements: object) -> Elements:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return Elements(dataset=dataset, file="a.dcm")


def test_frame_time_is_milliseconds_between_frames() -> None:
    np.testing.assert_allclose(frame_times_s(header(FrameTime=40.0), 4), [0, 0.04, 0.08, 0.12])


@pytest.mark.parametrize("first_ms", [0.0, 33.333])
def test_the_first_entry_of_a_vector_is_no_interval(first_ms: float) -> None:
    times_s = frame_times_s(header(FrameTimeVector=[first_ms, 100.0, 300.0]), 3)
    np.testing.assert_allclose(times_s, [0, 0.1, 0.4])


def test_the_pointer_chooses_between_vector_and_interval() -> None:
    both = header(FrameTime=50.0, FrameTimeVector=[0.0, 100.0, 300.0])
    both.dataset.FrameIncrementPointer = 0x00181063
    np.testing.assert_allclose(frame_times_s(both, 3), [0, 0.05, 0.1])
    both.dataset.FrameIncrementPointer = 0x00181065
    np.testing.assert_allclose(frame_times_s(both, 3), [0, 0.1, 0.4])


@pytest.mark.parametrize(
    ("elements", "code", "text"),
    [
        (
            {},
            "no-timing",
            r"FrameTime \(0018,1063\) or FrameTimeVector \(0018,1065\), found neither",
        ),
        ({"CineRate": 30, "RecommendedDisplayFrameRate": 30}, "no-timing", "neither"),
        ({"FrameTime": 0.0}, "bad-timing", "found 0"),
        ({"FrameTime": float("nan")}, "bad-timing", "found nan"),
        (
            {"FrameTimeVector": [0.0, 10.0]},
            "bad-timing",
            "expected 3 values, one per frame, found 2",
        ),
        ({"FrameTimeVector": [0.0, 10.0, -10.0]}, "bad-timing", "found -10"),
    ],
)
def test_missing_or_senseless_times_are_refused(
    elements: dict[str, object], code: str, text: str
) -> None:
    with pytest.raises(InputError, match=text) as caught:
        frame_times_s(header(**elements), 3)
    assert caught.value.code == code


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
