"""The further elements that tell of a clip's times, and how far each is to be trusted.

FrameTime and FrameTimeVector are read as times of acquisition, but some scanners write the time
for which a frame is shown there. Each witness below says how long the clip is; a rule says what it
means that this is not what was read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.errors import InputError

__all__ = ["WITNESSES", "Read", "Said", "Witness", "confirms", "hear"]

CLOSE = 1.1
"""Durations agree up to this ratio: intervals are rounded and loops are trimmed."""
APART = 1.5
"""From this ratio on one of two durations is wrong, and with it every parameter."""
ROUNDING_S = 0.5
"""Durations are often written in whole seconds."""
SLOWEST_DISPLAY_HZ = 10.0
"""Faster loops are slowed to what a monitor shows; none is shown at fewer frames a second."""

Verdict = Literal["refuse", "warn"] | None


@dataclass(frozen=True, kw_only=True)
class Read:
    """Times as they were read: from which element, and how to say what it holds."""

    keyword: str
    times_s: NDArray[np.float64]
    found: str
    is_named: bool = True
    """FrameIncrementPointer names the element."""
    warning: str = ""

    @property
    def span_s(self) -> float:
        """From the first frame to the last."""
        return float(self.times_s[-1])

    @property
    def duration_s(self) -> float:
        """Until the next frame after the last would be."""
        steps = np.diff(self.times_s)
        return self.span_s + (float(np.median(steps)) if len(steps) else 0.0)

    def ratio(self, said_s: float) -> float:
        """How many times as long as the other the longer of two durations is, at least 1.

        Between the first frame and the end of the last every duration is right.
        """
        longer = (said_s - ROUNDING_S) / max(self.duration_s, 1e-6)
        shorter = self.span_s / max(said_s + ROUNDING_S, 1e-6)
        return max(longer, shorter, 1.0)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a witness says: its value, and how long the clip is by it."""

    value: float
    duration_s: float


Heard = Mapping[str, Said]


def _taken(read: Read, said: Said, heard: Heard) -> Verdict:
    """Time for which data was taken; of loops with pauses perhaps only while it was taken."""
    frames = heard.get("ActualFrameDuration")
    if said.duration_s < read.span_s and frames and frames.duration_s <= CLOSE * said.duration_s:
        return None
    ratio = read.ratio(said.duration_s)
    if ratio <= CLOSE:
        return None
    return "refuse" if ratio >= APART else "warn"


def _acquired(read: Read, said: Said, _heard: Heard) -> Verdict:
    """Of enhanced objects, not of this class; found in seconds and in milliseconds."""
    ratio = min(read.ratio(said.duration_s), read.ratio(said.duration_s / 1000))
    if ratio <= CLOSE:
        return None
    return "refuse" if ratio >= APART else "warn"


def _each_frame(read: Read, said: Said, _heard: Heard) -> Verdict:
    """No frame takes longer than until the next one; a shorter time leaves room for a pause."""
    return "refuse" if said.duration_s >= APART * read.duration_s else None


def _rate(read: Read, said: Said, heard: Heard) -> Verdict:
    """Frames per second, by which some scanners mean playback: believed only where that fails."""
    at_next_whole_rate_s = said.duration_s * said.value / (said.value + 1)
    if at_next_whole_rate_s <= APART * read.duration_s:
        return None
    shown = heard.get("RecommendedDisplayFrameRate")
    is_shown_so = shown is not None and read.ratio(shown.duration_s) <= CLOSE
    return "warn" if is_shown_so or said.value < SLOWEST_DISPLAY_HZ else None


def _step(read: Read, said: Said, _heard: Heard) -> Verdict:
    """Interval beside a vector, or the other way round; the pointer says which of them holds."""
    if read.ratio(said.duration_s) < APART:
        return None
    return "warn" if read.is_named else "refuse"


@dataclass(frozen=True, kw_only=True)
class Witness:
    """An element that tells of a clip's times: what it holds, at most how much, what follows."""

    keyword: str
    holds: Literal["duration", "interval", "rate"]
    high: float
    judge: Callable[[Read, Said, Heard], Verdict]

    @property
    def unit(self) -> str:
        """Of the value."""
        return {"duration": "s", "interval": "ms a frame", "rate": "frames a second"}[self.holds]

    def said(self, value: float, count: int) -> Said:
        """How long a clip of so many frames is by it."""
        by = {"duration": value, "interval": value * count / 1000, "rate": count / value}
        return Said(value=value, duration_s=by[self.holds])


WITNESSES = (
    Witness(keyword="EffectiveDuration", holds="duration", high=1e5, judge=_taken),
    Witness(keyword="AcquisitionDuration", holds="duration", high=1e8, judge=_acquired),
    Witness(keyword="ActualFrameDuration", holds="interval", high=1e6, judge=_each_frame),
    Witness(keyword="FrameTime", holds="interval", high=1e6, judge=_step),
    Witness(keyword="FrameTimeVector", holds="interval", high=1e6, judge=_step),
    Witness(keyword="CineRate", holds="rate", high=1e5, judge=_rate),
    Witness(keyword="RecommendedDisplayFrameRate", holds="rate", high=1e5, judge=_rate),
)
"""Elements that tell of time: of the Cine and Multi-frame modules (PS3.3 C.7.6.5), but for one."""


def hear(elements: Elements, read: Read) -> tuple[str, ...]:
    """Hold what was read against every witness; return the warnings.

    Raises
    ------
    InputError
        Naming both elements and what both say.
    """
    heard, warnings = _hear(elements, read)
    if read.warning:
        warnings.append(f"{elements.file}: {tag_text(read.keyword)} {read.warning}")
    for witness in WITNESSES:
        said = heard.get(witness.keyword)
        if said is None:
            continue
        verdict = witness.judge(read, said, heard)
        if verdict is None:
            continue
        contradiction = (
            f"{elements.file}: expected {tag_text(read.keyword)} and {tag_text(witness.keyword)} "
            f"to agree, found {read.found}, {read.duration_s:.3g} s in all, and {said.value:g} "
            f"{witness.unit}"
        )
        if verdict == "refuse":
            raise InputError("contradictory-times", contradiction)
        warnings.append(contradiction)
    return tuple(warnings)


def confirms(elements: Elements, read: Read) -> bool:
    """Whether an element besides the one that was read says that the clip is that long."""
    heard, _ = _hear(elements, read)
    by = (heard.get(keyword) for keyword in ("EffectiveDuration", "FrameTime"))
    return any(said is not None and read.ratio(said.duration_s) <= CLOSE for said in by)


def _hear(elements: Elements, read: Read) -> tuple[dict[str, Said], list[str]]:
    heard: dict[str, Said] = {}
    unread: list[str] = []
    for witness in WITNESSES:
        if witness.keyword == read.keyword or not elements.states(witness.keyword):
            continue
        try:
            value = _value(elements, witness)
        except InputError as error:
            unread.append(str(error))
            continue
        if value > 0:
            heard[witness.keyword] = witness.said(value, len(read.times_s))
    return heard, unread


def _value(elements: Elements, witness: Witness) -> float:
    """The one value, or the mean step of a vector, whose first entry is none."""
    if witness.keyword != "FrameTimeVector":
        return elements.number(witness.keyword, 0, witness.high, witness.unit)
    steps_ms = elements.numbers(witness.keyword)[1:]
    return float(np.mean(steps_ms)) if len(steps_ms) else 0.0
