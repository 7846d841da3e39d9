"""Rules on faults of single frames: flashes and what they leave, a lifted probe, damage."""

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.loop import linearise
from dicomnode.science.quality.rule import Facts, Rule

__all__ = ["RULES"]

_AROUND = 3
"""Frames before and after a flash that are compared."""
_SPARSE = 3


def _flashes(facts: Facts) -> float:
    return float(facts.flash.sum())


def _bubble_loss_db(facts: Facts) -> float | None:
    """Largest fall of the pane's mean echo power across a flash, in dB; None without a flash.

    Three frames before are compared with three after it, on a grid of every third pixel; where all
    of that lies under graphics nothing can be told.
    """
    loop, seen = facts.loop, ~facts.loop.graphics[::_SPARSE, ::_SPARSE]
    if not seen.any():
        return None

    def mean_power(frames: NDArray[np.intp]) -> float:
        sparse = (loop.contrast[t, ::_SPARSE, ::_SPARSE][seen] for t in frames)
        return float(np.mean([linearise(grey, loop.dynamic_range_db) for grey in sparse]))

    steady = np.flatnonzero(facts.sound)
    losses = []
    for t in np.flatnonzero(facts.flash):
        at = int(np.searchsorted(steady, t))
        before, after = steady[max(0, at - _AROUND) : at], steady[at : at + _AROUND]
        if len(before) and len(after):
            losses.append(10.0 * np.log10(mean_power(before) / mean_power(after)))
    return max(0.0, float(max(losses))) if losses else None


def _lifted(facts: Facts) -> float:
    return float(np.mean(facts.lifted))


def _damaged(facts: Facts) -> float:
    return float(facts.broken.sum())


RULES = (
    Rule(
        name="flash",
        code="flash",
        measure=_flashes,
        limit=0.0,
        unit="1",
        bound="at most",
        early=True,
        message="{value:.0f} frames flash (bubble destruction or a knock) and are left out; "
        "none should",
    ),
    Rule(
        name="bubble loss",
        code="flash",
        measure=_bubble_loss_db,
        limit=3.0,
        unit="dB",
        bound="at most",
        early=True,
        message="mean echo power falls by {value:.1f} dB across a flash; a fall of more than "
        "{limit:.0f} dB is bubbles destroyed, and what follows is refilling, not wash-out",
    ),
    Rule(
        name="probe lifted",
        code="probe-lifted",
        measure=_lifted,
        limit=0.0,
        unit="1",
        bound="at most",
        early=True,
        message="{value:.0%} of the frames show no tissue (probe lifted) and are left out; "
        "none should",
    ),
    Rule(
        name="damaged frames",
        code="damaged-frames",
        measure=_damaged,
        limit=0.0,
        unit="1",
        bound="at most",
        early=True,
        message="frames of PixelData (7FE0,0010) that are damaged and left out: {value:.0f}; none "
        "should be",
    ),
)
