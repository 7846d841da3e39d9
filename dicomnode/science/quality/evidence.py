"""Evidence for the quality checks: one number per check, measured on loop and lesion."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.faults import damaged, faulty, flashes, lifted
from dicomnode.science.loop import (
    SATURATED_GREY,
    Loop,
    estimate_dynamic_range_db,
    linearise,
    saturated,
    static_bright,
)
from dicomnode.science.sampling import Motion, align_whole

__all__ = ["GAIN_NOISE_DB", "Evidence", "of_lesion", "of_loop", "of_motion", "speckle_range_db"]

Evidence = dict[str, float | None]
"""Name of a check to its value, None where this loop cannot tell."""

_CELL_PX = 8
"""Side of the cells whose rise decides whether a bolus arrived."""
_FAST_S = 0.4
"""Frame interval up to which the arrival of a bolus cannot be taken for a step of gain."""
_SLOW_S = 2.5
"""Frame interval from which on nothing can be: tissue washes out as fast."""
_WASH_IN_S = 12.0
_GAIN_FRAMES = 8
_AROUND = 3
"""Frames before and after a flash that are compared."""
GAIN_NOISE_DB = 1.5
"""Steps up to this are noise."""


def of_loop(loop: Loop) -> Evidence:
    """Measure what the loop alone tells: bolus, frames, faults of single frames, gain."""
    broken = damaged(loop)
    flash, off = flashes(loop) & ~broken, lifted(loop) & ~broken
    sound = ~(flash | off | broken)
    rise_db, area = _bolus(loop, sound)
    gain_db = _gain_change_db(loop, sound)
    stepped_db = gain_db if gain_db is not None and gain_db > GAIN_NOISE_DB else 0.0
    frames = len(loop.times_s)
    interval_s = float(np.median(np.diff(loop.times_s))) if frames > 1 else None
    return {
        "bolus": max(0.0, rise_db - stepped_db),
        "enhancing area": area,
        "frames": float(frames),
        "frames for pixel fits": float(sound.sum()),
        "frame rate": 1.0 / interval_s if interval_s else None,
        "flash": float(flash.sum()),
        "bubble loss": _loss_db(loop, flash, sound),
        "probe lifted": float(np.mean(off)),
        "damaged frames": float(broken.sum()),
        "gain change": gain_db,
    }


def _bolus(loop: Loop, sound: NDArray[np.bool_]) -> tuple[float, float]:
    """Rise of the pane's mean power in dB, and the share of its area that brightens, net."""
    cells = _cell_power(loop, np.flatnonzero(sound))
    if cells.size == 0:
        return 0.0, 0.0
    width = max(1, len(cells) // 20)
    smooth = ndimage.uniform_filter1d(cells, width, axis=0, mode="nearest")
    curve = ndimage.median_filter(smooth.mean(axis=1), size=min(3, len(cells)), mode="nearest")
    peak = int(np.argmax(curve))
    start = int(np.argmin(curve[: peak + 1]))
    change_db = 10.0 * np.log10(smooth[peak] / smooth[start])
    area = float(np.mean(change_db > 3.0) - np.mean(change_db < -3.0))
    return 10.0 * float(np.log10(curve[peak] / curve[start])), area


def _cell_power(loop: Loop, which: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean echo power in cells of 8 × 8 pixels, at most 120 of the frames; shape (n, cells)."""
    seen = ~(loop.graphics | static_bright(loop.contrast))
    counts = _cell_sums(seen.astype(np.float32))
    full = counts >= 0.5 * _CELL_PX**2
    picks = which[np.unique(np.linspace(0, len(which) - 1, min(len(which), 120)).astype(int))]
    rows = [
        _cell_sums(linearise(loop.contrast[t], loop.dynamic_range_db) * seen)[full] / counts[full]
        for t in picks
    ]
    return np.array(rows, np.float64)


def _cell_sums(image: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = (size // _CELL_PX for size in image.shape)
    cut = image[: rows * _CELL_PX, : columns * _CELL_PX]
    sums: NDArray[np.float32] = cut.reshape(rows, _CELL_PX, columns, _CELL_PX).sum(axis=(1, 3))
    return sums


def of_motion(loop: Loop, motion: Motion) -> Evidence:
    """Measure how many frames are left, how alike they are and how far the tissue went."""
    sound = ~faulty(loop)
    off_mm = np.hypot(*(motion.shift_px[motion.kept] * loop.spacing_mm).T)
    alike = float(np.median(motion.ncc[sound | motion.kept]))
    return {
        "frames left out": float(np.mean(~motion.kept[sound])) if sound.any() else None,
        "usable frames": float(np.mean(motion.kept)),
        "registration": alike,
        "frame similarity": alike,
        "excursion": float(np.percentile(off_mm, 95)),
    }


def of_lesion(
    loop: Loop,
    motion: Motion,
    curve: NDArray[np.float64],
    lesion: NDArray[np.bool_],
) -> Evidence:
    """Measure what the lesion's own samples and mean curve tell: saturation, arrival, wash-out."""
    times_s = loop.times_s[np.isfinite(curve)]
    power = curve[np.isfinite(curve)]
    if power.size == 0:
        raise ValueError("lesion_curve: expected finite echo power in some frame, got none")
    smooth = ndimage.median_filter(power, size=min(3, len(power)), mode="nearest")
    smooth = ndimage.uniform_filter1d(smooth, max(1, len(power) // 30), mode="nearest")
    peak = int(np.argmax(smooth))
    top = _saturated_share(loop, motion, lesion, float(times_s[peak]))
    return {
        "saturation": top,
        "measurable samples": 1.0 - top,
        "baseline": _onset_s(times_s, smooth, peak) - float(loop.times_s[0]),
        "wash-out recorded": float(loop.times_s[-1] - times_s[peak]),
    }


def speckle_range_db(
    loop: Loop, motion: Motion, curve: NDArray[np.float64], lesion: NDArray[np.bool_]
) -> float | None:
    """Dynamic range that the lesion's speckle suggests while it enhances, in dB.

    From kept frames that follow each other, at which the lesion's mean power is above half of its
    peak: there noise counts least.
    """
    bright = motion.kept & (np.nan_to_num(curve) >= 0.5 * np.nanmax(curve))
    frames = np.flatnonzero(bright)
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    longest = max(runs, key=len)
    return estimate_dynamic_range_db(loop.contrast[longest], lesion)


def _onset_s(times_s: NDArray[np.float64], curve: NDArray[np.float64], peak: int) -> float:
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


def _loss_db(loop: Loop, flash: NDArray[np.bool_], sound: NDArray[np.bool_]) -> float | None:
    """Largest fall of the pane's mean echo power across a flash, in dB; None without a flash.

    Three frames before are compared with three after it.
    """
    steady = np.flatnonzero(sound)
    losses = []
    for t in np.flatnonzero(flash):
        at = int(np.searchsorted(steady, t))
        before, after = steady[max(0, at - _AROUND) : at], steady[at : at + _AROUND]
        if len(before) and len(after):
            losses.append(10.0 * np.log10(_mean_power(loop, before) / _mean_power(loop, after)))
    return max(0.0, float(max(losses))) if losses else None


def _mean_power(loop: Loop, which: NDArray[np.intp]) -> float:
    seen = ~loop.graphics[::3, ::3]
    return float(
        np.mean([linearise(loop.contrast[t, ::3, ::3][seen], loop.dynamic_range_db) for t in which])
    )


def _gain_change_db(loop: Loop, sound: NDArray[np.bool_]) -> float | None:
    """Largest step of gain, in dB; None where frames are too few or too far apart to tell.

    A step changes all pixels alike between two frames. A bolus takes longer, except where contrast
    arrives between two frames that are far apart: such pairs are not looked at.
    """
    frames = np.flatnonzero(sound)
    if len(frames) < _GAIN_FRAMES:
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
