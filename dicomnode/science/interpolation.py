"""Samples of a frame between its pixels: bilinear, of echo power, compiled or in numpy."""

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import AVAILABLE, compiled, vectorised
from dicomnode.science.elementary import exp32

__all__ = ["add_frames", "mix", "split", "sums_by_label"]


def add_frames(
    frames: NDArray[np.uint8],
    which: NDArray[np.int64],
    corners: NDArray[np.int64],
    parts: NDArray[np.float32],
    scale: np.float32,
    limit: int,
    out: NDArray[np.float32],
) -> int:
    """Add samples of some frames, each interpolated where its corner and part put it.

    A sample is its echo power, or whether it reaches ``limit`` if that is not 0.

    Parameters
    ----------
    frames : ndarray of uint8, shape (T, R, C)
        Grey levels; beyond the edge the edge pixel is repeated.
    which : ndarray of int64, shape (n,)
        The frames.
    corners, parts : ndarray, shape (n, 2)
        Row and column of the first sample: whole pixels, and the rest, 0 to 1.
    scale : float32
        Natural logarithm of echo power per grey level.
    limit : int
        Grey level, or 0.
    out : ndarray of float32, shape (h, w)
        What is added to.

    Returns
    -------
    int
        The brightest grey level that a sample was made of.
    """
    if AVAILABLE:
        return int(_add_frames(frames, which, corners, parts, scale, limit, out))
    brightest = 0
    for t, corner, part in zip(which, corners, parts, strict=True):
        rows, columns = (
            np.clip(np.arange(size + 1) + first, 0, most - 1)
            for size, first, most in zip(out.shape, corner, frames.shape[1:], strict=True)
        )
        box = frames[t][rows][:, columns]
        brightest = max(brightest, int(box.max()))
        values = np.asarray(box >= limit if limit else np.exp(box * scale), np.float32)
        mixed = mix(values[:-1], values[1:], part[0])
        out += mix(mixed[:, :-1], mixed[:, 1:], part[1])
    return brightest


@vectorised
def _add_frames(  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    frames, which, corners, parts, scale, limit, out
):
    """As :func:`add_frames`, row by row: what is added to stays in the cache.

    Rows are named by their numbers, not handed on as views: a view costs as much as a hundred
    samples. Unsigned numbers spare the question whether they count from the end.
    """
    height, width = out.shape
    above = np.empty((which.size, width + 1), np.float32)
    below = np.empty((which.size, width + 1), np.float32)
    last, brightest = frames.shape[1] - 1, 0
    for n in range(which.size):
        row = min(max(corners[n, 0], 0), last)
        level = _convert(frames, which[n], row, corners[n, 1], scale, limit, above, n)
        brightest = max(brightest, level)
    for r in range(height):
        for n in range(which.size):
            row = min(max(corners[n, 0] + r + 1, 0), last)
            level = _convert(frames, which[n], row, corners[n, 1], scale, limit, below, n)
            brightest = max(brightest, level)
            _mix_rows(above, below, n, parts[n, 0], parts[n, 1], out, r)
        above, below = below, above
    return brightest


@vectorised
def _mix_rows(above, below, n, down, along, out, r):  # type: ignore[no-untyped-def]
    """Add the bilinear mixture of two rows to row ``r``."""
    up, before = np.float32(1) - down, np.float32(1) - along
    w00, w01, w10, w11 = up * before, up * along, down * before, down * along
    one, n, r = np.uint64(1), np.uint64(n), np.uint64(r)
    for k in range(out.shape[1]):
        c = np.uint64(k)
        out[r, c] += (
            w00 * above[n, c]
            + w01 * above[n, c + one]
            + w10 * below[n, c]
            + w11 * below[n, c + one]
        )


@vectorised
def _convert(frames, t, r, left, scale, limit, out, n):  # type: ignore[no-untyped-def]
    """Write a row's echo power, or which of its samples reach ``limit``; return the brightest."""
    size, width = frames.shape[2], out.shape[1]
    first, end = min(max(-left, 0), width - 1), max(min(size - left, width), 1)
    begin = np.uint64(min(max(left, 0), size - 1))
    t, r, n, start = np.uint64(t), np.uint64(r), np.uint64(n), np.uint64(first)
    brightest = np.int32(0)
    if limit > 0:
        for k in range(end - first):
            level = np.int32(frames[t, r, begin + np.uint64(k)])
            brightest = max(brightest, level)
            out[n, start + np.uint64(k)] = np.float32(level >= limit)
    else:
        for k in range(end - first):
            level = np.int32(frames[t, r, begin + np.uint64(k)])
            brightest = max(brightest, level)
            out[n, start + np.uint64(k)] = exp32(np.float32(level) * scale)
    for c in range(first):
        out[n, c] = out[n, first]
    for c in range(end, width):
        out[n, c] = out[n, end - 1]
    return brightest


def sums_by_label(
    image: NDArray[np.float32], labels: NDArray[np.uint8], count: int
) -> NDArray[np.float64]:
    """Sum of an image (h, w) over each label 0 to ``count - 1``."""
    if not AVAILABLE:
        return np.asarray(np.bincount(labels.ravel(), image.ravel(), count), np.float64)
    sums = np.zeros(count)
    _add_by_label(image, labels, sums)
    return sums


@compiled
def _add_by_label(image, labels, sums):  # type: ignore[no-untyped-def]
    """Add every sample to its label's sum."""
    for r in range(image.shape[0]):
        for c in range(image.shape[1]):
            sums[labels[r, c]] += image[r, c]


def mix(
    first: NDArray[np.generic], second: NDArray[np.generic], part: np.float32
) -> NDArray[np.float32]:
    """``part`` of the way from the first to the second."""
    return first * (np.float32(1) - part) + second * part  # type: ignore[operator,no-any-return]


def split(shift_px: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Whole pixels, downwards, and the rest, 0 to 1."""
    whole = np.floor(shift_px)
    return whole.astype(np.int64), (shift_px - whole).astype(np.float32)
