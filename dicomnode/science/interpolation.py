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
    """As :func:`add_frames`, row by row: what is added to stays in the cache."""
    height, width = out.shape
    above = np.empty((which.size, width + 1), np.float32)
    below = np.empty((which.size, width + 1), np.float32)
    last, brightest = frames.shape[1] - 1, 0
    for n in range(which.size):
        row = frames[which[n], min(max(corners[n, 0], 0), last)]
        brightest = max(brightest, _convert(row, corners[n, 1], scale, limit, above[n]))
    for r in range(height):
        for n in range(which.size):
            row = frames[which[n], min(max(corners[n, 0] + r + 1, 0), last)]
            brightest = max(brightest, _convert(row, corners[n, 1], scale, limit, below[n]))
            _mix_rows(above[n], below[n], parts[n, 0], parts[n, 1], out[r])
        above, below = below, above
    return brightest


@vectorised
def _mix_rows(above, below, down, along, line):  # type: ignore[no-untyped-def]
    """Add the bilinear mixture of two rows to ``line``."""
    up, before = np.float32(1) - down, np.float32(1) - along
    w00, w01, w10, w11 = up * before, up * along, down * before, down * along
    for c in range(line.size):
        line[c] += w00 * above[c] + w01 * above[c + 1] + w10 * below[c] + w11 * below[c + 1]


@vectorised
def _convert(source, left, scale, limit, out):  # type: ignore[no-untyped-def]
    """Write a row's echo power, or which of its samples reach ``limit``; return the brightest."""
    first, end = min(max(-left, 0), out.size - 1), max(min(source.size - left, out.size), 1)
    begin = min(max(left, 0), source.size - 1)
    inner = source[begin : begin + end - first]
    if limit > 0:
        brightest = _reaching(inner, limit, out[first:end])
    else:
        brightest = _powers(inner, scale, out[first:end])
    for c in range(first):
        out[c] = out[first]
    for c in range(end, out.size):
        out[c] = out[end - 1]
    return brightest


@vectorised
def _powers(grey, scale, out):  # type: ignore[no-untyped-def]
    brightest = np.int32(0)
    for c in range(grey.size):
        brightest = max(brightest, np.int32(grey[c]))
        out[c] = exp32(np.float32(grey[c]) * scale)
    return brightest


@vectorised
def _reaching(grey, limit, out):  # type: ignore[no-untyped-def]
    brightest = np.int32(0)
    for c in range(grey.size):
        brightest = max(brightest, np.int32(grey[c]))
        out[c] = np.float32(grey[c] >= limit)
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
