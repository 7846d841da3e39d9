"""The times of a clip's frames, and whether all that tells of them agrees (PS3.3 C.7.6.5)."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.tag import Tag

from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.dicom.exam.witnesses import Read, confirms, hear
from dicomnode.errors import InputError

__all__ = ["FrameTimes", "frame_times"]

F64 = NDArray[np.float64]

STEP_MS = (0.5, 60_000.0)
"""Outside this a step of a vector is no pause between two frames of a loop."""
USUAL_STEP_MS = (6.0, 15_000.0)
"""Contrast is imaged at 5 to 30 frames a second; 200, or one in 20 s, is no frame rate."""
FEWEST_GROWING = 8
"""So many values, hardly one not greater than the last, are no intervals: these go up and down."""
MOSTLY = 0.9
"""Share of steps that grow in a vector of running times, some of which are rounded to one value."""


@dataclass(frozen=True, kw_only=True)
class FrameTimes:
    """Seconds of each frame after the clip's first, (n,), and what speaks against them."""

    times_s: F64
    warnings: tuple[str, ...]


def frame_times(elements: Elements, count: int) -> FrameTimes:
    """Read when the frames were taken.

    FrameTimeVector, whose first entry is 0 by the standard and is ignored where it is not, or
    FrameTime; whichever FrameIncrementPointer names if both are there.

    Raises
    ------
    InputError
        If neither is there or sensible, or another element says something else for certain.
    """
    elements = replace(elements, code="bad-timing")
    keyword = _source(elements)
    read = _interval(elements, count) if keyword == "FrameTime" else _vector(elements, count)
    read = replace(read, is_named=Tag(keyword) in elements.tags("FrameIncrementPointer"))
    return FrameTimes(times_s=read.times_s, warnings=hear(elements, read))


def _source(elements: Elements) -> Literal["FrameTime", "FrameTimeVector"]:
    states_interval = elements.states("FrameTime")
    names_interval = states_interval and Tag("FrameTime") in elements.tags("FrameIncrementPointer")
    if elements.states("FrameTimeVector") and not names_interval:
        return "FrameTimeVector"
    if states_interval:
        return "FrameTime"
    raise InputError(
        "no-timing",
        f"{elements.file}: expected {tag_text('FrameTime')} or {tag_text('FrameTimeVector')}, "
        f"found neither: without times there is no curve",
    )


def _interval(elements: Elements, count: int) -> Read:
    step_ms = elements.number("FrameTime", *USUAL_STEP_MS, "milliseconds")
    return Read(
        keyword="FrameTime",
        times_s=np.arange(count, dtype=np.float64) * step_ms / 1000,
        found=f"{step_ms:g} ms a frame",
    )


def _vector(elements: Elements, count: int) -> Read:
    values_ms = elements.numbers("FrameTimeVector")
    if len(values_ms) != count:
        expected = f"{count} values, one per frame"
        raise elements.wrong("FrameTimeVector", expected, len(values_ms))
    steps, running = _as_steps(values_ms), _as_running(values_ms)
    if not _only_grows(values_ms):
        read = steps
    elif confirms(elements, steps) != confirms(elements, running):
        read = steps if confirms(elements, steps) else running
    else:
        found = f"values that only grow, from {values_ms[0]:g} to {values_ms[-1]:g}"
        expected = "milliseconds between frames"
        raise elements.wrong("FrameTimeVector", expected, f"{found}, as running times do")
    _check_steps(elements, 1000 * np.diff(read.times_s))
    return read


def _as_steps(values_ms: F64) -> Read:
    times_s = np.concatenate([[0.0], np.cumsum(values_ms[1:])]) / 1000
    found = f"{np.median(values_ms[1:]):g} ms a frame"
    return Read(keyword="FrameTimeVector", times_s=times_s, found=found)


def _as_running(values_ms: F64) -> Read:
    return Read(
        keyword="FrameTimeVector",
        times_s=(values_ms - values_ms[0]) / 1000,
        found=f"running times up to {values_ms[-1]:g} ms",
        warning="holds running times, not the time between frames",
    )


def _only_grows(values_ms: F64) -> bool:
    """Whether values grow and grow, as intervals never do for long; a few may repeat."""
    steps = np.diff(values_ms)
    return (
        len(values_ms) >= FEWEST_GROWING
        and bool(np.all(steps >= 0))
        and float(np.mean(steps > 0)) >= MOSTLY
    )


def _check_steps(elements: Elements, steps_ms: F64) -> None:
    low, high = STEP_MS
    bad = steps_ms[~((steps_ms >= low) & (steps_ms <= high))]
    if len(bad):
        expected = f"milliseconds between {low:g} and {high:g}"
        raise elements.wrong("FrameTimeVector", expected, f"{bad[0]:g}")
    low, high = USUAL_STEP_MS
    usual_ms = float(np.median(steps_ms)) if len(steps_ms) else low
    if not low <= usual_ms <= high:
        expected = f"{low:g} to {high:g} milliseconds between most frames"
        raise elements.wrong("FrameTimeVector", expected, f"{usual_ms:g}")
