"""Motion of a loop and motion-compensated samples of its frames."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Motion", "align", "align_whole", "gather"]


@dataclass(frozen=True, kw_only=True)
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
    (row, column), (part_row, part_column) = _split(shift_px)
    rows, columns = frame.shape
    above = _clipped(rows, row)
    left = _clipped(columns, column)
    mixed = _mix(frame[above], frame[_clipped(rows, row + 1)], part_row)
    return _mix(mixed[:, left], mixed[:, _clipped(columns, column + 1)], part_column)


def align_whole(frame: NDArray[np.uint8], shift_px: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bring one frame onto the reference frame to the nearest whole pixel: no interpolation."""
    row, column = np.rint(shift_px).astype(int)
    moved = np.take(frame, _clipped(frame.shape[0], row), axis=0)
    return np.take(moved, _clipped(frame.shape[1], column), axis=1)


def gather(frames: NDArray[np.uint8], motion: Motion, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Sample the pixels of a mask in every frame, each frame moved onto the reference frame.

    Interpolation is bilinear in grey level; beyond the pane's edge the edge pixel is repeated.

    Parameters
    ----------
    frames : ndarray of uint8, shape (T, R, C)
        Grey levels.
    motion : Motion
        Of the same T frames. Frames that were not kept are sampled too.
    mask : ndarray of bool, shape (R, C)
        Pixels of the reference frame, N of them.

    Returns
    -------
    ndarray of uint8, shape (T, N)
        Rounded grey level, pixels in the order of ``numpy.nonzero(mask)``.
    """
    _check(frames, motion, mask)
    rows, columns = np.nonzero(mask)
    samples = np.empty((len(frames), len(rows)), np.uint8)
    for frame, shift, out in zip(frames, motion.shift_px, samples, strict=True):
        out[:] = _bilinear(frame, rows, columns, shift)
    return samples


def _check(frames: NDArray[np.uint8], motion: Motion, mask: NDArray[np.bool_]) -> None:
    if frames.ndim != 3 or len(frames) != len(motion.kept):
        raise ValueError(
            f"frames: expected shape ({len(motion.kept)}, R, C) as motion, got {frames.shape}"
        )
    if mask.shape != frames.shape[1:]:
        raise ValueError(f"mask: expected shape {frames.shape[1:]} as frames, got {mask.shape}")
    if not mask.any():
        raise ValueError(f"mask: expected at least one pixel, got none in shape {mask.shape}")


def _bilinear(
    frame: NDArray[np.uint8],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    shift_px: NDArray[np.float64],
) -> NDArray[np.uint8]:
    (row, column), (part_row, part_column) = _split(shift_px)
    height, width = frame.shape
    above = np.clip(rows + row, 0, height - 1) * width
    below = np.clip(rows + row + 1, 0, height - 1) * width
    left = np.clip(columns + column, 0, width - 1)
    right = np.clip(columns + column + 1, 0, width - 1)
    flat = np.ravel(frame)
    upper = _mix(flat[above + left], flat[above + right], part_column)
    lower = _mix(flat[below + left], flat[below + right], part_column)
    return np.rint(_mix(upper, lower, part_row)).astype(np.uint8)


def _mix(
    first: NDArray[np.generic], second: NDArray[np.generic], part: np.float32
) -> NDArray[np.float32]:
    return first * (np.float32(1) - part) + second * part  # type: ignore[operator,no-any-return]


def _split(shift_px: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    whole = np.floor(shift_px)
    return whole.astype(np.int64), (shift_px - whole).astype(np.float32)


def _clipped(size: int, offset: int) -> NDArray[np.intp]:
    return np.clip(np.arange(size) + offset, 0, size - 1)
