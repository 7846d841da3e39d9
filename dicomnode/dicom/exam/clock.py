"""When frames were taken: within a clip, and clips of one exam on one clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

import numpy as np
from numpy.typing import NDArray
from pydicom.tag import Tag
from pydicom.valuerep import DA, DT, TM

from dicomnode.dicom.copied import time_zone
from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.errors import InputError

__all__ = ["START_SOURCES", "Placed", "frame_times_s", "place", "start_of"]

F64 = NDArray[np.float64]

FRAME_TIME = Tag("FrameTime")
FRAME_TIME_MS = (0.5, 60_000.0)
"""Outside this a FrameTime is not a number of milliseconds between frames of a cine loop."""
OVERLAP_S = 1.0
"""Clip starts are often cut to whole seconds: this much overlap is rounding."""


def frame_times_s(elements: Elements, count: int) -> F64:
    """Seconds of each frame after the clip's first (PS3.3 C.7.6.5).

    FrameTimeVector, whose first entry is 0 by the standard and is ignored where it is not, or
    FrameTime; whichever FrameIncrementPointer names if both are there. Playback rates
    (CineRate, RecommendedDisplayFrameRate) say how to show a loop, not when it was taken.
    """
    elements = replace(elements, code="bad-timing")
    states_interval = elements.states("FrameTime")
    names_interval = states_interval and FRAME_TIME in elements.tags("FrameIncrementPointer")
    if elements.states("FrameTimeVector") and not names_interval:
        return _from_vector(elements, count)
    if not states_interval:
        raise InputError(
            "no-timing",
            f"{elements.file}: expected {tag_text('FrameTime')} or {tag_text('FrameTimeVector')}, "
            f"found neither: without times there is no curve",
        )
    step_ms = elements.number("FrameTime", *FRAME_TIME_MS, "milliseconds")
    return np.arange(count, dtype=np.float64) * step_ms / 1000


def _from_vector(elements: Elements, count: int) -> F64:
    steps_ms = elements.numbers("FrameTimeVector")
    if len(steps_ms) != count:
        expected = f"{count} values, one per frame"
        raise elements.wrong("FrameTimeVector", expected, len(steps_ms))
    low, high = FRAME_TIME_MS
    bad = steps_ms[1:][~((steps_ms[1:] >= low) & (steps_ms[1:] <= high))]
    if len(bad):
        expected = f"milliseconds between {low:g} and {high:g}"
        raise elements.wrong("FrameTimeVector", expected, f"{bad[0]:g}")
    return np.concatenate([[0.0], np.cumsum(steps_ms[1:])]) / 1000


def _combined(date: str, time: str) -> Callable[[Elements], datetime | None]:
    def read(elements: Elements) -> datetime | None:
        day, clock = elements.text(date), elements.text(time)
        if not day or not clock:
            return None
        moment = datetime.combine(DA(day), TM(clock))
        return moment.replace(tzinfo=_zone(elements))

    return read


def _acquisition_datetime(elements: Elements) -> datetime | None:
    stated = elements.text("AcquisitionDateTime")
    moment = DT(stated) if stated else None
    if moment is None:
        return None
    zone = moment.tzinfo or _zone(elements)
    return datetime.combine(moment.date(), moment.time()).replace(tzinfo=zone)


def _zone(elements: Elements) -> tzinfo:
    """TimezoneOffsetFromUTC; UTC where there is none, which only differences see."""
    return time_zone(elements.dataset) or UTC


START_SOURCES: dict[str, Callable[[Elements], datetime | None]] = {
    "AcquisitionDateTime": _acquisition_datetime,
    "AcquisitionDate and AcquisitionTime": _combined("AcquisitionDate", "AcquisitionTime"),
    "ContentDate and ContentTime": _combined("ContentDate", "ContentTime"),
}
"""Where a clip's start is taken from, the best first.

AcquisitionDateTime is when the data began to be acquired (PS3.3 C.8.5.6); ContentTime is when the
pixel data began to be made, which some scanners stamp when the clip is stored. All clips of an
exam are placed by the same source.
"""


def start_of(elements: Elements, source: str) -> datetime | None:
    """When the clip began according to ``source``; None if missing or unreadable."""
    try:
        return START_SOURCES[source](elements)
    except (InputError, ValueError, TypeError, OverflowError):
        return None


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Clips in order of time: their indices, their starts and the element that said so."""

    order: tuple[int, ...]
    starts_s: tuple[float, ...]
    source: str


def place(clips: Sequence[Elements], durations_s: Sequence[float]) -> Placed | None:
    """Put clips on one clock, 0 at the first clip's first frame; None if nothing tells their order.

    A source is believed if every clip has it and no clip begins before the one before has ended;
    an overlap up to a second is taken as rounding and closed up.
    """
    if len(clips) == 1:
        return Placed(order=(0,), starts_s=(0.0,), source="single clip")
    for source in START_SOURCES:
        starts = [start_of(clip, source) for clip in clips]
        known = [start for start in starts if start is not None]
        if len(known) < len(starts):
            continue
        seconds = [(start - min(known)).total_seconds() for start in known]
        order = sorted(range(len(seconds)), key=seconds.__getitem__)
        placed = _closed_up([seconds[i] for i in order], [durations_s[i] for i in order])
        if placed is not None:
            return Placed(order=tuple(order), starts_s=placed, source=source)
    return None


def _closed_up(starts_s: list[float], durations_s: list[float]) -> tuple[float, ...] | None:
    placed: list[float] = []
    free_s = 0.0
    for start_s, duration_s in zip(starts_s, durations_s, strict=True):
        if start_s < free_s - OVERLAP_S:
            return None
        placed.append(max(start_s, free_s))
        free_s = placed[-1] + duration_s
    return tuple(placed)
