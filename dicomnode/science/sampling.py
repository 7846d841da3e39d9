"""Motion of a loop and motion-compensated samples of its frames."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.compiled import in_parallel
from dicomnode.science.curves import Binned, Bins, smooth_masked
from dicomnode.science.interpolation import add_bright, add_power, mix, split, sums_by_label
from dicomnode.science.masks import box_around

__all__ = [
    "SATURATED_GREY",
    "Motion",
    "align",
    "align_whole",
    "bin_frames",
    "mean_power",
    "nepers_per_grey",
    "swept",
]

SATURATED_GREY = 254
"""From this grey level on, a sample says "at least": JPEG may turn 255 into 254."""

_FRAMES_TOGETHER = 16


def nepers_per_grey(dynamic_range_db: float) -> float:
    """Natural logarithm of echo power per grey level; 255 levels span the range."""
    if not 0 < dynamic_range_db <= 200:
        raise ValueError(f"dynamic_range_db: expected 0 to 200 dB, got {dynamic_range_db}")
    return float(dynamic_range_db * np.log(10) / 2550)


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """Where the tissue of every frame lies, against one reference frame.

    Attributes
    ----------
    shift_px : ndarray of float64, shape (T, 2)
        Row and column by which the tissue of a frame lies off the reference frame: what is at
        (r, c) on the reference frame is at (r, c) + shift on frame t.
    ncc : ndarray of float64, shape (T,)
        Normalised cross-correlation of the aligned frame with the mean of the aligned frames.
    kept : ndarray of bool, shape (T,)
        Frames in plane; the others are left out of every measurement.
    reference : int
        Index of the reference frame; its shift is zero and it is kept.
    source : "bmode" or "contrast"
        The pane that was registered.
    """

    shift_px: NDArray[np.float64]
    ncc: NDArray[np.float64]
    kept: NDArray[np.bool_]
    reference: int
    source: Literal["bmode", "contrast"]

    def __post_init__(self) -> None:
        frames = len(self.kept)
        if self.shift_px.shape != (frames, 2):
            raise ValueError(
                f"shift_px: expected shape {(frames, 2)} pixels, got {self.shift_px.shape}"
            )
        if not np.all(np.isfinite(self.shift_px)):
            raise ValueError("shift_px: expected finite pixels")
        if not 0 <= self.reference < frames or not self.kept[self.reference]:
            raise ValueError(f"reference: expected a kept frame, got frame {self.reference}")


def align(frame: NDArray[np.uint8], shift_px: NDArray[np.float64]) -> NDArray[np.float32]:
    """Bring one frame onto the reference frame by bilinear interpolation.

    Parameters
    ----------
    frame : ndarray, shape (R, C)
        Grey level.
    shift_px : ndarray of float64, shape (2,)
        Row and column of :attr:`Motion.shift_px` for this frame.

    Returns
    -------
    ndarray of float32, shape (R, C)
        Grey level; beyond the pane's edge the edge pixel is repeated.
    """
    (row, column), (part_row, part_column) = split(shift_px)
    rows, columns = frame.shape
    above = _clipped(rows, row)
    left = _clipped(columns, column)
    mixed = mix(frame[above], frame[_clipped(rows, row + 1)], part_row)
    return mix(mixed[:, left], mixed[:, _clipped(columns, column + 1)], part_column)


def align_whole(frame: NDArray[np.uint8], shift_px: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bring one frame onto the reference frame to the nearest whole pixel: no interpolation."""
    row, column = np.rint(shift_px).astype(int)
    moved = np.take(frame, _clipped(frame.shape[0], row), axis=0)
    return np.take(moved, _clipped(frame.shape[1], column), axis=1)


def swept(fixed: NDArray[np.bool_], motion: Motion) -> NDArray[np.bool_]:
    """Where on the reference frame (R, C) what stays on the screen lies in any frame that is kept.

    Captions and the skin line move over the tissue once its motion is compensated.
    """
    found = fixed.copy()
    for shift_px in np.unique(np.rint(motion.shift_px[motion.kept]), axis=0):
        found |= align_whole(fixed.view(np.uint8), shift_px) > 0
    return np.asarray(ndimage.binary_dilation(found))  # a sample is mixed from four pixels


def bin_frames(
    frames: NDArray[np.uint8],
    motion: Motion,
    mask: NDArray[np.bool_],
    bins: Bins,
    dynamic_range_db: float,
    *,
    smoothing_px: float = 0.0,
) -> Binned:
    """Linearise, compensate and sum the samples of a mask's pixels, each frame read once.

    Grey level becomes echo power first and is interpolated then, bilinearly: speckle interpolated
    in decibels would lose power between two pixels. Smoothing and summing over time commute, so
    that the few sums are smoothed instead of the many frames.

    Parameters
    ----------
    frames : ndarray of uint8, shape (T, R, C)
        Grey levels.
    motion : Motion
        Of the same T frames.
    mask : ndarray of bool, shape (R, C)
        Pixels of the reference frame, N > 0 of them; beyond the pane's edge it is repeated.
    bins : Bins
        Of the same T frames.
    dynamic_range_db : float
        Decibels between grey 0 and grey 255.
    smoothing_px : float
        Standard deviation of a Gaussian mean within the mask; 0 for none.

    Returns
    -------
    Binned
        Of the N pixels in the order of ``numpy.nonzero(mask)``.
    """
    _check(frames, motion, mask)
    box = box_around(mask)
    inside = mask[box]
    scale = np.float32(nepers_per_grey(dynamic_range_db))
    counts = bins.counts.astype(np.float32)[:, None]
    corners, parts = _places(motion, box)
    groups = np.split(bins.frames, bins.starts[1:])
    total, bright = (np.zeros((len(groups), *inside.shape), np.float32) for _ in range(2))

    def add(k: int) -> bool:
        of = frames, groups[k], corners[groups[k]], parts[groups[k]]
        brightest = add_power(*of, scale, total[k])
        if saturated := bool(brightest.max() >= SATURATED_GREY):
            add_bright(*of, SATURATED_GREY, brightest, bright[k])
        return saturated

    saturated = any(in_parallel(add, range(len(groups))))
    smooth = _smoother(inside, smoothing_px)
    if not saturated:
        return Binned(times_s=bins.times_s, total=smooth(total), count=counts)
    count = smooth(bright)
    np.subtract(counts, count, out=count)
    np.maximum(count, 0, out=count)
    return Binned(times_s=bins.times_s, total=smooth(total), count=count)


def mean_power(
    frames: NDArray[np.uint8],
    motion: Motion,
    labels: NDArray[np.uint8],
    dynamic_range_db: float,
) -> NDArray[np.float64]:
    """Mean echo power of labelled regions in every frame, each moved onto the reference frame.

    Parameters
    ----------
    frames, motion, dynamic_range_db
        As in :func:`bin_frames`; frames that were not kept are sampled too.
    labels : ndarray of uint8, shape (R, C)
        0 outside, 1..L.

    Returns
    -------
    ndarray of float64, shape (T, L)
        NaN for a label without pixels.
    """
    _check(frames, motion, labels > 0)
    box = box_around(labels > 0)
    inside = np.ascontiguousarray(labels[box])
    sizes = np.bincount(inside.ravel(), minlength=int(labels.max()) + 1)
    sums = np.zeros((len(frames), len(sizes)))
    corners, parts = _places(motion, box)
    scale = np.float32(nepers_per_grey(dynamic_range_db))

    def add(first: int) -> None:
        image = np.empty(inside.shape, np.float32)
        for t in np.arange(first, min(first + _FRAMES_TOGETHER, len(frames))):
            image[:] = 0
            one = slice(t, t + 1)
            add_power(frames, np.array([t]), corners[one], parts[one], scale, image)
            sums[t] = sums_by_label(image, inside, len(sizes))

    in_parallel(add, range(0, len(frames), _FRAMES_TOGETHER))
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)[:, 1:]


def _check(frames: NDArray[np.uint8], motion: Motion, mask: NDArray[np.bool_]) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 3 or len(frames) != len(motion.kept):
        raise ValueError(
            f"frames: expected uint8 grey levels of shape ({len(motion.kept)}, R, C) as motion, "
            f"got {frames.dtype} of shape {frames.shape}"
        )
    if mask.shape != frames.shape[1:]:
        raise ValueError(f"mask: expected shape {frames.shape[1:]} as frames, got {mask.shape}")
    if not mask.any():
        raise ValueError(f"mask: expected at least one pixel, got none in shape {mask.shape}")


def _places(
    motion: Motion, box: tuple[slice, slice]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where the box lies in every frame: whole pixels of its corner, and the rest; both (T, 2)."""
    whole, part = split(motion.shift_px)
    return whole + np.array([side.start for side in box]), part


def _smoother(
    inside: NDArray[np.bool_], sigma_px: float
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """How sums (K, h, w) become those of the mask's pixels (K, N)."""

    def smooth(images: NDArray[np.float32]) -> NDArray[np.float32]:
        if not sigma_px and inside.all():
            return images.reshape(len(images), -1)
        samples = np.empty((len(images), np.count_nonzero(inside)), np.float32)

        def take(k: int) -> None:
            image = images[k]
            samples[k] = (smooth_masked(image, inside, sigma_px) if sigma_px else image)[inside]

        in_parallel(take, range(len(images)))
        return samples

    return smooth


def _clipped(size: int, offset: int) -> NDArray[np.intp]:
    return np.clip(np.arange(size) + offset, 0, size - 1)
