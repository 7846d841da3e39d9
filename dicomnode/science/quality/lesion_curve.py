"""Rules on the lesion's samples and mean curve: saturation, arrival and wash-out recorded."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.loop import Loop, saturated
from dicomnode.science.quality.rule import Facts, Rule, once
from dicomnode.science.sampling import Motion, align_whole

__all__ = ["BRIGHTNESS", "COVERAGE"]

_Floats = NDArray[np.float64]


@once
def _smooth(facts: Facts) -> tuple[_Floats, _Floats, int]:
    """Times and smoothed power of the frames that were kept, and where the peak is."""
    kept = np.isfinite(facts.lesion.curve)
    times_s, power = facts.loop.times_s[kept], facts.lesion.curve[kept]
    if power.size == 0:
        raise ValueError("lesion_curve: expected finite echo power in some frame, got none")
    smooth = ndimage.median_filter(power, size=min(3, len(power)), mode="nearest")
    smooth = ndimage.uniform_filter1d(smooth, max(1, len(power) // 30), mode="nearest")
    return times_s, smooth, int(np.argmax(smooth))


@once
def _saturated(facts: Facts) -> float:
    times_s, _, peak = _smooth(facts)
    lesion = facts.lesion
    return _saturated_share(facts.loop, lesion.motion, lesion.mask, float(times_s[peak]))


def _measurable(facts: Facts) -> float:
    return 1.0 - _saturated(facts)


def _baseline_s(facts: Facts) -> float:
    return _onset_s(*_smooth(facts)) - float(facts.loop.times_s[0])


def _after_peak_s(facts: Facts) -> float:
    times_s, _, peak = _smooth(facts)
    return float(facts.loop.times_s[-1] - times_s[peak])


def _onset_s(times_s: _Floats, curve: _Floats, peak: int) -> float:
    """Last time before the peak at which the curve is within a tenth of its rise.

    Earlier than the arrival that is reported, where the fitted model's steepest tangent leaves the
    baseline: by then contrast has been in the lesion for about a second.
    """
    base = float(np.percentile(curve[: peak + 1], 5))
    low = np.flatnonzero(curve[: peak + 1] <= base + 0.1 * (curve[peak] - base))
    return float(times_s[low[-1]])


def _saturated_share(loop: Loop, motion: Motion, lesion: NDArray[np.bool_], peak_s: float) -> float:
    """Share of the lesion's samples at the top of the grey scale, in the kept frames near peak."""
    away_s = np.where(motion.kept, np.abs(loop.times_s - peak_s), np.inf)
    near = np.argsort(away_s, kind="stable")[: min(9, int(motion.kept.sum()))]
    shares = [saturated(align_whole(loop.contrast[t], motion.shift_px[t])[lesion]) for t in near]
    return float(np.mean(shares))


BRIGHTNESS = (
    Rule(
        name="saturation",
        code="saturation",
        measure=_saturated,
        limit=0.05,
        unit="1",
        bound="at most",
        message="{value:.1%} of the lesion's samples near the peak are at the top of the grey "
        "scale; up to {limit:.0%} is harmless",
    ),
    Rule(
        name="measurable samples",
        code="unusable-saturation",
        measure=_measurable,
        limit=0.6,
        unit="1",
        bound="at least",
        withholds=frozenset({"analysis"}),
        message="{value:.0%} of the lesion's samples near the peak are below the top of the grey "
        "scale; at least {limit:.0%} are needed",
    ),
)
COVERAGE = (
    Rule(
        name="baseline",
        code="late-start",
        measure=_baseline_s,
        limit=1.0,
        unit="s",
        bound="at least",
        message="{value:.1f} s recorded before contrast arrives in the lesion; "
        "{limit:.0f} s or more is wanted, or the arrival is not in the loop",
    ),
    Rule(
        name="wash-out recorded",
        code="short-loop",
        measure=_after_peak_s,
        limit=20.0,
        unit="s",
        bound="at least",
        message="{value:.0f} s recorded after the lesion's peak; "
        "wash-out needs {limit:.0f} s or more",
    ),
)
