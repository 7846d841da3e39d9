"""Rules on the number of frames and their rate."""

import numpy as np

from dicomnode.science.quality.rule import Facts, Rule

__all__ = ["RULES"]


def _frames(facts: Facts) -> float:
    return float(len(facts.loop.times_s))


def _sound_frames(facts: Facts) -> float:
    return float(facts.sound.sum())


def _rate_hz(facts: Facts) -> float | None:
    times_s = facts.loop.times_s
    interval_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else None
    return 1.0 / interval_s if interval_s else None


RULES = (
    Rule(
        name="frames",
        code="too-few-frames",
        measure=_frames,
        limit=10,
        unit="1",
        bound="at least",
        withholds=frozenset({"analysis"}),
        early=True,
        message="{value:.0f} frames; a time-intensity curve needs {limit:.0f} or more",
    ),
    Rule(
        name="frames for pixel fits",
        code="few-frames",
        measure=_sound_frames,
        limit=50,
        unit="1",
        bound="at least",
        withholds=frozenset({"answer", "sub-regions"}),
        early=True,
        message="{value:.0f} frames; curves of single pixels are steady from {limit:.0f} on",
    ),
    Rule(
        name="frame rate",
        code="slow-frame-rate",
        measure=_rate_hz,
        limit=1.0,
        unit="Hz",
        bound="at least",
        early=True,
        message="{value:.2f} frames per second; wash-in is resolved from {limit:.0f} on",
    ),
)
