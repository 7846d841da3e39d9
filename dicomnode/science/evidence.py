"""What the quality checks are judged by: one number per check, measured on loop and lesion."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.kinetics import LognormalCurves
from dicomnode.science.loop import SATURATED_GREY, Loop, linearise, saturated, static_bright
from dicomnode.science.sampling import Motion, align_whole

__all__ = ["GAIN_NOISE_DB", "Evidence", "flashes", "of_lesion", "of_loop", "of_motion"]

Evidence = dict[str, float | None]
"""Name of a check to its value, None where this loop cannot tell."""

_CELL_PX = 8
"""Side of the cells whose rise decides whether a bolus arrived."""
_FAST_S = 0.25
"""Frame interval up to which a bolus cannot be taken for a step of gain."""
GAIN_NOISE_DB = 1.5
"""Steps up to this are noise."""


def flashes(loop: Loop) -> NDArray[np.bool_]:
    """Find single bright frames: bubble destruction, or a knock against the probe.

    Returns
    -------
    ndarray of bool, shape (T,)
        Frames whose mean grey level exceeds the running median of nine frames by 3 dB and by
        six times its usual scatter.
    """
    seen = ~loop.graphics[::4, ::4]
    curve = np.array([frame[::4, ::4][seen].mean() if seen.any() else 0 for frame in loop.contrast])
    excess = curve - ndimage.median_filter(curve, size=min(9, len(curve)), mode="nearest")
    scatter = 1.4826 * float(np.median(np.abs(excess)))
    least = 3.0 * 255.0 / loop.dynamic_range_db
    flash: NDArray[np.bool_] = excess > max(least, 6.0 * scatter)
    return flash


def of_loop(loop: Loop) -> Evidence:
    """Measure what the loop alone tells: bolus, frames, flashes and changes of gain."""
    rise_db, area = _bolus(loop)
    flash = flashes(loop)
    gain_db = _gain_change_db(loop, flash)
    stepped_db = gain_db if gain_db is not None and gain_db > GAIN_NOISE_DB else 0.0
    frames = len(loop.times_s)
    interval_s = float(np.median(np.diff(loop.times_s))) if frames > 1 else None
    return {
        "bolus": max(0.0, rise_db - stepped_db),
        "enhancing area": area,
        "frames": float(frames),
        "frames for pixel fits": float(frames),
        "frame rate": 1.0 / interval_s if interval_s else None,
        "flash": float(flash.sum()),
        "gain change": gain_db,
    }


def _bolus(loop: Loop) -> tuple[float, float]:
    """Rise of the pane's mean power in dB, and the share of its area that brightens, net."""
    cells = _cell_power(loop)
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


def _cell_power(loop: Loop) -> NDArray[np.float64]:
    """Mean echo power in cells of 8 × 8 pixels, at most 120 frames; shape (n, cells)."""
    seen = ~(loop.graphics | static_bright(loop.contrast))
    counts = _cell_sums(seen.astype(np.float32))
    full = counts >= 0.5 * _CELL_PX**2
    picks = np.unique(np.linspace(0, len(loop.contrast) - 1, 120).astype(int))
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
    share = float(np.mean(motion.kept))
    off_mm = np.hypot(*(motion.shift_px[motion.kept] * loop.spacing_mm).T)
    return {
        "frames left out": 1.0 - share,
        "usable frames": share,
        "frame similarity": float(np.median(motion.ncc)),
        "excursion": float(np.percentile(off_mm, 95)),
    }


def of_lesion(
    loop: Loop,
    motion: Motion,
    curve: NDArray[np.float64],
    lesion: NDArray[np.bool_],
    fit: LognormalCurves | None,
) -> Evidence:
    """Measure what the lesion's own samples and mean curve tell: saturation, arrival, wash-out."""
    times_s = loop.times_s[np.isfinite(curve)]
    power = curve[np.isfinite(curve)]
    if power.size == 0:
        raise ValueError("lesion_curve: expected finite echo power in some frame, got none")
    smooth = ndimage.median_filter(power, size=min(3, len(power)), mode="nearest")
    smooth = ndimage.uniform_filter1d(smooth, max(1, len(power) // 30), mode="nearest")
    peak = int(np.argmax(smooth))
    arrival_s = _onset_s(times_s, smooth, peak)
    if fit is not None and np.any(fit.qof > 0):
        arrival_s = float(np.median(fit.t0_s[fit.qof > 0]))
    top = _saturated_share(loop, motion, lesion, float(times_s[peak]))
    return {
        "saturation": top,
        "measurable samples": 1.0 - top,
        "baseline": arrival_s - float(loop.times_s[0]),
        "wash-out recorded": float(loop.times_s[-1] - times_s[peak]),
    }


def _onset_s(times_s: NDArray[np.float64], curve: NDArray[np.float64], peak: int) -> float:
    """Last time before the peak at which the curve is within a tenth of its rise."""
    base = float(np.percentile(curve[: peak + 1], 5))
    low = np.flatnonzero(curve[: peak + 1] <= base + 0.1 * (curve[peak] - base))
    return float(times_s[low[-1]])


def _saturated_share(loop: Loop, motion: Motion, lesion: NDArray[np.bool_], peak_s: float) -> float:
    """Share of the lesion's samples at the top of the grey scale, in the kept frames near peak."""
    away_s = np.where(motion.kept, np.abs(loop.times_s - peak_s), np.inf)
    near = np.argsort(away_s, kind="stable")[: min(9, int(motion.kept.sum()))]
    shares = [saturated(align_whole(loop.contrast[t], motion.shift_px[t])[lesion]) for t in near]
    return float(np.mean(shares))


def _gain_change_db(loop: Loop, flash: NDArray[np.bool_]) -> float | None:
    """Largest step of gain, in dB; None where frames are too few or too far apart to tell.

    A step changes all pixels alike between two frames; a bolus takes longer.
    """
    if len(loop.times_s) < 8 or float(np.median(np.diff(loop.times_s))) > _FAST_S:
        return None
    step = _common_step(loop.contrast, ~loop.graphics, flash)
    return step * loop.dynamic_range_db / 255.0


def _common_step(
    contrast: NDArray[np.uint8], seen: NDArray[np.bool_], flash: NDArray[np.bool_]
) -> float:
    """Largest median change of grey level between two frames, beyond those before and after."""
    sparse = contrast[:, ::3, ::3]
    pairs = pairwise(np.flatnonzero(~flash))
    steps = np.abs([_median_change(sparse[t], sparse[after], seen[::3, ::3]) for t, after in pairs])
    padded = np.pad(steps, 1)
    beside = np.maximum(padded[:-2], padded[2:])
    return float(np.max(steps - beside, initial=0.0))


def _median_change(
    first: NDArray[np.uint8], second: NDArray[np.uint8], seen: NDArray[np.bool_]
) -> float:
    low, high = np.minimum(first, second), np.maximum(first, second)
    inside = seen & (low > 0) & (high < SATURATED_GREY)
    change = second[inside].astype(np.int16) - first[inside]
    return float(np.median(change)) if change.size else 0.0
