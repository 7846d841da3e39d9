"""The rule on steps of gain."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.loop import SATURATED_GREY
from dicomnode.science.quality.rule import Facts, Rule, once

__all__ = ["GAIN_NOISE_DB", "RULES", "gain_change_db"]

GAIN_NOISE_DB = 1.5
"""Steps up to this are noise."""
_FAST_S = 0.4
"""Frame interval up to which the arrival of a bolus cannot be taken for a step of gain."""
_SLOW_S = 2.5
"""Frame interval from which on nothing can be: tissue washes out as fast."""
_WASH_IN_S = 12.0
_FEWEST_FRAMES = 8


@once
def gain_change_db(facts: Facts) -> float | None:
    """Largest step of gain, in dB; None where frames are too few or too far apart to tell.

    A step changes all pixels alike between two frames. A bolus takes longer, except where contrast
    arrives between two frames that are far apart: such pairs are not looked at.
    """
    loop, frames = facts.loop, np.flatnonzero(facts.sound)
    if len(frames) < _FEWEST_FRAMES:
        return None
    sparse, seen = loop.contrast[:, ::3, ::3], ~loop.graphics[::3, ::3]
    steps = np.array(
        [_median_change(sparse[t], sparse[after], seen) for t, after in pairwise(frames)]
    )
    counted = _tells_gain(loop.times_s[frames], steps * loop.dynamic_range_db / 255.0)
    if not counted.any():
        return None
    padded = np.pad(np.abs(steps), 1)
    beside = np.maximum(padded[:-2], padded[2:])
    beyond = (np.abs(steps) - beside)[counted]
    return float(np.max(beyond, initial=0.0)) * loop.dynamic_range_db / 255.0


def _tells_gain(times_s: NDArray[np.float64], steps_db: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say between which frames a change cannot be contrast that arrives."""
    interval_s = np.diff(times_s)
    level_db = np.cumsum(steps_db)
    risen = level_db > 0.25 * np.max(level_db, initial=0.0)
    onset_s = float(times_s[1:][risen][0]) if risen.any() else np.inf
    before = times_s[1:] < onset_s - 2.0 * interval_s
    after = times_s[:-1] > onset_s + _WASH_IN_S
    return np.asarray((interval_s <= _FAST_S) | ((interval_s <= _SLOW_S) & (before | after)))


def _median_change(
    first: NDArray[np.uint8], second: NDArray[np.uint8], seen: NDArray[np.bool_]
) -> float:
    low, high = np.minimum(first, second), np.maximum(first, second)
    inside = seen & (low > 0) & (high < SATURATED_GREY)
    change = second[inside].astype(np.int16) - first[inside]
    return float(np.median(change)) if change.size else 0.0


RULES = (
    Rule(
        name="gain change",
        code="gain-change",
        measure=gain_change_db,
        limit=GAIN_NOISE_DB,
        unit="dB",
        bound="at most",
        early=True,
        message="the gain steps by {value:.1f} dB; up to {limit:.1f} dB is noise (where frames are "
        "more than 0.4 s apart, the first 12 s of the bolus cannot be told)",
    ),
)
