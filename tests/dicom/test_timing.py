"""Times come from the file or not at all, and only where nothing in it contradicts them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.dicom.exam.timing import frame_times
from dicomnode.errors import InputError

INTERVAL, VECTOR = 0x00181063, 0x00181065
COUNT = 110
LOOP = {"FrameTime": 660.0, "FrameIncrementPointer": INTERVAL}
"""A loop of 72.6 s, as scanners keep contrast."""
STEPS = np.full(COUNT, 330.0) + 40 * np.cos(np.arange(COUNT))
RUNNING = np.concatenate([[0.0], np.cumsum(STEPS[1:])])


def header(**elements: object) -> Elements:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return Elements(dataset=dataset, file="a.dcm")


def times_s(elements: Elements, count: int) -> NDArray[np.float64]:
    return frame_times(elements, count).times_s


def test_frame_time_is_milliseconds_between_frames() -> None:
    np.testing.assert_allclose(times_s(header(FrameTime=40.0), 4), [0, 0.04, 0.08, 0.12])


@pytest.mark.parametrize("first_ms", [0.0, 33.333])
def test_the_first_entry_of_a_vector_is_no_interval(first_ms: float) -> None:
    read = times_s(header(FrameTimeVector=[first_ms, 100.0, 300.0]), 3)
    np.testing.assert_allclose(read, [0, 0.1, 0.4])


def test_the_pointer_chooses_between_vector_and_interval() -> None:
    both = header(FrameTime=50.0, FrameTimeVector=[0.0, 100.0, 300.0])
    both.dataset.FrameIncrementPointer = 0x00181063
    np.testing.assert_allclose(times_s(both, 3), [0, 0.05, 0.1])
    both.dataset.FrameIncrementPointer = 0x00181065
    np.testing.assert_allclose(times_s(both, 3), [0, 0.1, 0.4])


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
        times_s(header(**elements), 3)
    assert caught.value.code == code


def vector(values: NDArray[np.float64], **elements: object) -> Elements:
    rounded = [round(float(value), 3) for value in values]
    return header(FrameTimeVector=rounded, FrameIncrementPointer=VECTOR, **elements)


AGREEING = {
    "nothing else": {},
    "the duration to the last frame": {"EffectiveDuration": 71.94},
    "the duration until the next frame": {"EffectiveDuration": 72.6},
    "the duration in whole seconds": {"EffectiveDuration": 73},
    "nothing in numbers": {"EffectiveDuration": 0, "CineRate": 0, "ActualFrameDuration": 0},
    "a faster playback": {"CineRate": 15, "RecommendedDisplayFrameRate": 15},
    "a playback for each of two elements": {"CineRate": 30, "RecommendedDisplayFrameRate": 15},
    "frames taken between pauses": {"ActualFrameDuration": 50},
    "as long as they were taken": {"ActualFrameDuration": 50, "EffectiveDuration": 5.5},
    "a rate in whole numbers": {"CineRate": 1},
}


@pytest.mark.parametrize("case", AGREEING)
def test_scanners_usual_headers_are_read_without_a_word(case: str) -> None:
    read = frame_times(header(**LOOP, **AGREEING[case]), COUNT)
    assert read.warnings == ()
    assert read.times_s[-1] == pytest.approx(71.94)


def test_a_fast_loop_slowed_to_what_a_monitor_shows_is_usual() -> None:
    fast = header(FrameTime=11.1, CineRate=30, RecommendedDisplayFrameRate=30)
    assert frame_times(fast, COUNT).warnings == ()


REFUSED = {
    "playback beside a duration": (
        {"FrameTime": 66.7, "EffectiveDuration": 72.7, "CineRate": 2},
        ("FrameTime", "66.7 ms a frame, 7.34 s", "EffectiveDuration", "72.7 s"),
    ),
    "playback beside seconds of acquisition": (
        {"FrameTime": 66.7, "AcquisitionDuration": 72.7},
        ("FrameTime", "66.7 ms a frame, 7.34 s", "AcquisitionDuration", "72.7 s"),
    ),
    "playback beside milliseconds of acquisition": (
        {"FrameTime": 66.7, "AcquisitionDuration": 72_700.0},
        ("FrameTime", "66.7 ms a frame, 7.34 s", "AcquisitionDuration", "72700 s"),
    ),
    "a duration that is too short": (
        {"FrameTime": 660.0, "EffectiveDuration": 7.3},
        ("FrameTime", "660 ms a frame, 72.6 s", "EffectiveDuration", "7.3 s"),
    ),
    "frames that take longer than until the next": (
        {"FrameTime": 66.7, "ActualFrameDuration": 660},
        ("FrameTime", "66.7 ms a frame", "ActualFrameDuration", "660 ms a frame"),
    ),
    "two intervals, and no pointer to either": (
        {"FrameTimeVector": STEPS.round(1).tolist(), "FrameTime": 33.3},
        ("FrameTimeVector", "ms a frame", "FrameTime", "33.3 ms a frame"),
    ),
    "a vector beside a duration": (
        {"FrameTimeVector": (STEPS / 5).round(1).tolist(), "EffectiveDuration": 36.1},
        ("FrameTimeVector", "ms a frame", "EffectiveDuration", "36.1 s"),
    ),
}


@pytest.mark.parametrize("duration", [72.7, 72_700.0])
def test_seconds_and_milliseconds_of_acquisition_are_both_understood(duration: float) -> None:
    elements = {"FrameTime": 660.0, "AcquisitionDuration": duration}
    assert frame_times(header(**elements), COUNT).warnings == ()


@pytest.mark.parametrize("case", REFUSED)
def test_times_that_contradict_each_other_are_refused_with_both(case: str) -> None:
    elements, (first, first_says, second, second_says) = REFUSED[case]
    with pytest.raises(InputError) as caught:
        frame_times(header(**elements), COUNT)
    assert caught.value.code == "contradictory-times"
    told = str(caught.value)
    assert told.startswith("a.dcm: ")
    for words in (tag_text(first), first_says, tag_text(second), second_says):
        assert words in told


WARNED = {
    "a little apart": ({"EffectiveDuration": 90}, "EffectiveDuration", "90 s"),
    "a rate no monitor asks for": (
        {"FrameTime": 66.7, "CineRate": 2},
        "CineRate",
        "2 frames a second",
    ),
    "a display no monitor is asked for": (
        {"FrameTime": 66.7, "RecommendedDisplayFrameRate": 2},
        "RecommendedDisplayFrameRate",
        "2 frames a second",
    ),
    "the interval of the display": (
        {"FrameTime": 20.0, "RecommendedDisplayFrameRate": 50, "CineRate": 12},
        "CineRate",
        "12 frames a second",
    ),
    "a vector that the pointer does not name": (
        {"FrameTimeVector": (STEPS / 5).round(1).tolist()},
        "FrameTimeVector",
        "ms a frame",
    ),
    "a duration of two values": ({"EffectiveDuration": [72.6, 1]}, "EffectiveDuration", "2 values"),
    "a negative rate": ({"CineRate": -15}, "CineRate", "found -15"),
}


@pytest.mark.parametrize("case", WARNED)
def test_what_may_be_right_is_read_with_a_warning_that_names_both(case: str) -> None:
    elements, keyword, says = WARNED[case]
    (told,) = frame_times(header(**{**LOOP, **elements}), COUNT).warnings
    assert told.startswith("a.dcm: ")
    assert tag_text(keyword) in told
    assert says in told


@pytest.mark.parametrize(
    "witness", [{"EffectiveDuration": 36}, {"EffectiveDuration": 36.3}, {"FrameTime": 330.0}]
)
def test_running_times_are_read_as_such_where_another_element_confirms_it(
    witness: dict[str, object],
) -> None:
    read = frame_times(vector(RUNNING, **witness), COUNT)
    np.testing.assert_allclose(read.times_s, RUNNING / 1000, atol=1e-3)
    (told,) = read.warnings
    assert told.startswith("a.dcm: FrameTimeVector (0018,1065) holds running times")


@pytest.mark.parametrize("witness", [{}, {"CineRate": 3}, {"EffectiveDuration": 120}])
def test_running_times_that_nothing_confirms_are_refused(witness: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"FrameTimeVector \(0018,1065\): .*only grow") as caught:
        frame_times(vector(RUNNING, **witness), COUNT)
    assert caught.value.code == "bad-timing"


def test_running_times_of_which_one_repeats_are_no_intervals() -> None:
    repeated = np.array(RUNNING, np.float64)
    repeated[20] = repeated[19]
    with pytest.raises(InputError, match=r"FrameTimeVector \(0018,1065\): .*only grow"):
        frame_times(vector(repeated), COUNT)


def test_growing_pauses_are_intervals_where_the_duration_says_so() -> None:
    growing = np.concatenate([[0.0], 100.0 * np.arange(1, 12)])
    read = frame_times(vector(growing, EffectiveDuration=6.6), 12)
    assert read.times_s[-1] == pytest.approx(6.6)
    assert read.warnings == ()


@pytest.mark.parametrize("step_ms", [5.0, 20_000.0])
def test_a_rate_at_which_nobody_images_contrast_is_none(step_ms: float) -> None:
    with pytest.raises(InputError, match=r"FrameTime \(0018,1063\): expected 6 to 15000"):
        frame_times(header(FrameTime=step_ms), COUNT)
    steps = np.full(COUNT, step_ms)
    with pytest.raises(InputError, match=r"FrameTimeVector \(0018,1065\): expected 6 to 15000"):
        frame_times(vector(steps), COUNT)


def test_one_long_pause_in_a_vector_is_kept() -> None:
    steps = STEPS.copy()
    steps[60] = 45_000
    assert frame_times(vector(steps), COUNT).times_s[60] > 45
