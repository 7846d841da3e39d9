"""Time-intensity curves: smoothing within a mask and binning in time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from dicomnode.science.compiled import in_parallel

__all__ = [
    "Binned",
    "Bins",
    "bin_power",
    "bin_times",
    "is_power",
    "smooth_masked",
    "wash_in",
]

Floats = NDArray[np.float64]

_WASH_IN_DENSITY = 3.0
"""Bins per frame during wash-in against elsewhere."""
_MOST_POWER = 1e30
_PARTS = 8
"""Tasks that a pass over all samples is divided into."""
_GAP = 3.0
"""A step of this many median frame intervals is a gap that no bin may bridge."""
_SMOOTHING_FRAMES = 60
"""Onset and peak are looked for on the curve smoothed over 1/60 of its length."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """Frames grouped in time.

    Attributes
    ----------
    frames : ndarray of int64, shape (M,)
        The frames used, in order.
    starts : ndarray of int64, shape (K,)
        Where each bin starts within ``frames``.
    times_s : ndarray of float64, shape (K,)
        Mean time of each bin's frames.
    counts : ndarray of int64, shape (K,)
        Frames per bin.
    """

    frames: NDArray[np.int64]
    starts: NDArray[np.int64]
    times_s: Floats
    counts: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Binned:
    """Samples of N pixels summed in K time bins.

    Attributes
    ----------
    times_s : ndarray of float64, shape (K,)
        Mean time of each bin.
    total : ndarray, shape (K, N)
        Sum of echo power.
    count : ndarray, shape (K, N), or (K, 1) where it is the same for all pixels
        Samples that were not saturated.
    """

    times_s: Floats
    total: NDArray[np.floating]
    count: NDArray[np.floating]

    def of(self, pixels: NDArray[np.bool_] | NDArray[np.integer] | slice) -> "Binned":
        """The same of some of the pixels: a mask (N,), their numbers in any order, or a run."""
        count = self.count if self.count.shape[1] == 1 else self.count[:, pixels]
        return Binned(times_s=self.times_s, total=self.total[:, pixels], count=count)

    def mean(self) -> "Binned":
        """The mean of all pixels, as one pixel's samples."""
        total, count = (
            np.concatenate(in_parallel(_mean, np.array_split(each, _PARTS)), dtype=np.float64)
            for each in (self.total, self.count)
        )
        return Binned(times_s=self.times_s, total=total, count=count)

    def weighted(self, weights: Floats) -> "Binned":
        """The same with each bin (K,) counted so many times."""
        column = np.asarray(weights, np.float32)[:, None]
        return Binned(times_s=self.times_s, total=self.total * column, count=self.count * column)


def _mean(bins: NDArray[np.floating]) -> NDArray[np.floating]:
    """Mean of the pixels of some bins, as a column."""
    return np.asarray(bins.mean(axis=1, keepdims=True))


def wash_in(curve: Floats, times_s: Floats) -> tuple[float, float]:
    """Onset (10 % of the rise) and peak of a mean curve, in seconds.

    Parameters
    ----------
    curve : ndarray of float64, shape (T,)
        Echo power; NaN where a frame was left out.
    times_s : ndarray of float64, shape (T,)
        Seconds.
    """
    known = np.isfinite(curve)
    if not known.any():
        return float(times_s[0]), float(times_s[-1])
    values, times = curve[known], times_s[known]
    smooth = gaussian_filter1d(values, max(1.0, values.size / _SMOOTHING_FRAMES), mode="nearest")
    peak = int(np.argmax(smooth))
    lowest = smooth[: peak + 1].min()
    below = np.flatnonzero(smooth[: peak + 1] <= lowest + 0.1 * (smooth[peak] - lowest))
    return float(times[below[-1]]), float(times[peak])


def bin_times(
    times_s: Floats,
    n: int,
    *,
    kept: NDArray[np.bool_] | None = None,
    wash_in_s: tuple[float, float] | None = None,
) -> Bins:
    """Group frames into about ``n`` bins, three times finer during wash-in, none across a gap.

    Parameters
    ----------
    times_s : ndarray of float64, shape (T,)
        Strictly increasing seconds.
    n : int
        Bins wanted; with fewer frames each frame is a bin.
    kept : ndarray of bool, shape (T,), optional
        Frames to use; all by default.
    wash_in_s : (float, float), optional
        Onset and peak, e.g. from :func:`wash_in`.
    """
    frames = np.arange(times_s.size) if kept is None else np.flatnonzero(kept)
    times = times_s[frames]
    density = np.ones(frames.size)
    if wash_in_s is not None:
        density[(times >= wash_in_s[0]) & (times <= wash_in_s[1])] = _WASH_IN_DENSITY
    density = np.minimum(density * n / max(density.sum(), 1.0), 1.0) if frames.size > n else density
    number = np.floor(np.cumsum(density) - density / 2).astype(np.int64)
    number = number if frames.size > n else np.arange(frames.size)
    step = np.diff(times)
    after_gap = step > _GAP * np.median(step) if step.size else step.astype(bool)
    first = np.concatenate([[True], (np.diff(number) > 0) | after_gap])[: frames.size]
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, frames.size))
    centres = np.add.reduceat(times, starts) / counts if starts.size else times
    return Bins(frames=frames, starts=starts, times_s=centres, counts=counts)


def is_power(samples: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell echo power from NaN, negative numbers and numbers that no scanner shows (10³⁰)."""
    return np.asarray((samples >= 0) & (samples <= _MOST_POWER))


def bin_power(
    power: NDArray[np.floating], bins: Bins, *, uncensored: NDArray[np.floating] | None = None
) -> Binned:
    """Sum echo power and count samples in each bin.

    A sample that :func:`is_power` refuses counts as absent. A saturated sample adds its
    (too low) power but does not count as a sample: for single-look speckle, whose power is
    exponentially distributed, sum over count is then exactly the censored likelihood's sufficient
    statistic; for smoother data it is an approximation.

    Parameters
    ----------
    power : ndarray, shape (T, N)
        Echo power of each frame and pixel.
    bins : Bins
        From :func:`bin_times`.
    uncensored : ndarray, shape (T, N), optional
        Share of each sample that was not saturated, 0 to 1.
    """
    samples = power if bins.frames.size == power.shape[0] else power[bins.frames]
    usable = is_power(samples)
    all_usable = bool(usable.all())
    if not all_usable:
        samples = np.where(usable, samples, 0)
    total = np.add.reduceat(samples, bins.starts, axis=0, dtype=np.float64)
    if uncensored is None and all_usable:
        count = bins.counts[:, None].astype(np.float32)
    else:
        weight = usable.astype(np.float32)
        if uncensored is not None:
            weight *= uncensored[bins.frames]
        count = np.add.reduceat(weight, bins.starts, axis=0)
    return Binned(times_s=bins.times_s, total=total, count=count)


def smooth_masked(
    images: NDArray[np.floating], mask: NDArray[np.bool_], sigma_px: float = 1.0
) -> NDArray[np.float32]:
    """Gaussian mean over the pixels of a mask only: nothing leaks in from outside it.

    Parameters
    ----------
    images : ndarray, shape (T, R, C) or (R, C)
        Echo power.
    mask : ndarray of bool, shape (R, C)
        Pixels that count; the rest of the result is 0.
    sigma_px : float
        Standard deviation of the Gaussian, about that of the point spread function.
    """
    axes = (images.ndim - 2, images.ndim - 1)
    inside = mask.astype(np.float32)
    weight = gaussian_filter(inside, sigma_px, mode="constant")
    blurred = gaussian_filter(
        np.where(mask, images, 0).astype(np.float32), sigma_px, mode="constant", axes=axes
    )
    return np.asarray(np.where(mask, blurred / np.maximum(weight, 1e-6), 0), np.float32)
