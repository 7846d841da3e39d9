"""Start times of the clips of one exam, all of them on one clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from pydicom.valuerep import DA, DT, TM

from dicomnode.dicom.copied import time_zone
from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.errors import InputError

__all__ = ["OVERLAP_S", "START_SOURCES", "Placed", "apart", "overlap", "place", "tells_start"]

OVERLAP_S = 1.0
"""Clip starts are often cut to whole seconds: this much overlap is rounding."""


def _combined(date: str, time: str) -> Callable[[Elements], datetime | None]:
    def read(elements: Elements) -> datetime | None:
        day, clock = elements.text(date), elements.text(time)
        if not day or not clock:
            return None
        moment = datetime.combine(DA(day), TM(clock))
        return moment.replace(tzinfo=time_zone(elements.dataset))

    return read


def _acquisition_datetime(elements: Elements) -> datetime | None:
    stated = elements.text("AcquisitionDateTime")
    moment = DT(stated) if stated else None
    if moment is None:
        return None
    zone = moment.tzinfo or time_zone(elements.dataset)
    return datetime.combine(moment.date(), moment.time()).replace(tzinfo=zone)


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

ACQUIRED = {
    "AcquisitionDateTime": "AcquisitionDateTime",
    "AcquisitionTime": "AcquisitionDate and AcquisitionTime",
}
"""Elements that tell when a clip was taken, not when it was stored, and the sources they are of."""


def _start(elements: Elements, source: str) -> datetime | None:
    """When the clip began according to ``source``; None if missing or unreadable."""
    try:
        return START_SOURCES[source](elements)
    except (InputError, ValueError, TypeError, OverflowError):
        return None


def _starts_s(clips: Sequence[Elements], source: str) -> list[float] | None:
    """Seconds of each clip after the earliest; None unless ``source`` tells all of them.

    Time zones count only where every clip states its own.
    """
    starts = [_start(clip, source) for clip in clips]
    known = [start for start in starts if start is not None]
    if len(known) < len(starts):
        return None
    if any(start.tzinfo is None for start in known):
        known = [start.replace(tzinfo=None) for start in known]
    first = min(known)
    return [(start - first).total_seconds() for start in known]


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
        seconds = _starts_s(clips, source)
        if seconds is None:
            continue
        order = sorted(range(len(seconds)), key=seconds.__getitem__)
        placed = _closed_up([seconds[i] for i in order], [durations_s[i] for i in order])
        if placed is not None:
            return Placed(order=tuple(order), starts_s=placed, source=source)
    return None


def tells_start(clip: Elements) -> bool:
    """Whether any source says when a clip began."""
    return any(_start(clip, source) is not None for source in START_SOURCES)


def apart(
    clips: Sequence[Elements], durations_s: Sequence[float], gap_s: float
) -> list[tuple[int, ...]]:
    """Indices of clips in parts further apart than ``gap_s``, by the best source that tells any."""
    for source in START_SOURCES:
        begun_s = _starts_s(clips, source)
        if begun_s is None:
            continue
        parts: list[list[int]] = []
        free_s = 0.0
        for index in sorted(range(len(begun_s)), key=begun_s.__getitem__):
            if not parts or begun_s[index] - free_s > gap_s:
                parts.append([])
            parts[-1].append(index)
            free_s = max(free_s, begun_s[index] + durations_s[index])
        if len(parts) > 1:
            return [tuple(sorted(part)) for part in parts]
    return [tuple(range(len(clips)))]


def overlap(clips: Sequence[Elements], durations_s: Sequence[float]) -> str | None:
    """Say which clip had not ended, by its frame times, when the next began by its own start."""
    for keyword, source in ACQUIRED.items():
        begun_s = _starts_s(clips, source)
        if begun_s is None or len(set(begun_s)) < len(begun_s):
            continue
        order = sorted(range(len(begun_s)), key=begun_s.__getitem__)
        for first, second in pairwise(order):
            gap_s = begun_s[second] - begun_s[first]
            if gap_s < durations_s[first] - OVERLAP_S:
                return (
                    f"{clips[first].file} lasts {durations_s[first]:.3g} s by its frame times, and "
                    f"{clips[second].file} begins {gap_s:.3g} s after it by {tag_text(keyword)}"
                )
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
