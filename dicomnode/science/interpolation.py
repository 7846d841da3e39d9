"""Samples of a frame between its pixels: bilinear, of echo power."""

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import compiled, inlined, vectorised
from dicomnode.science.elementary import exp32

__all__ = ["add_bright", "add_power", "mix", "split", "sums_by_label"]


def add_power(
    frames: NDArray[np.uint8],
    which: NDArray[np.int64],
    corners: NDArray[np.int64],
    parts: NDArray[np.float32],
    scale: np.float32,
    out: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Add echo power of some frames, each interpolated where its corner and part put it.

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
    out : ndarray of float32, shape (h, w)
        What is added to.

    Returns
    -------
    ndarray of uint8, shape (n, h + 1)
        The brightest grey level of each row of pixels that samples were made of.
    """
    brightest = np.zeros((len(which), len(out) + 1), np.uint8)
    _add(frames, which, corners, parts, scale, 0, brightest, out)
    return brightest


def add_bright(
    frames: NDArray[np.uint8],
    which: NDArray[np.int64],
    corners: NDArray[np.int64],
    parts: NDArray[np.float32],
    limit: int,
    brightest: NDArray[np.uint8],
    out: NDArray[np.float32],
) -> None:
    """Add 1 for every sample whose grey level is ``limit`` or more, interpolated likewise.

    Parameters
    ----------
    frames, which, corners, parts, out
        As in :func:`add_power`.
    limit : int
        Grey level above 0.
    brightest : ndarray of uint8, shape (n, h + 1)
        What :func:`add_power` returned for the same: most rows have no such pixel, and are not
        looked at.
    """
    _add(frames, which, corners, parts, np.float32(0), limit, brightest, out)


@vectorised
def _add(  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    frames, which, corners, parts, scale, limit, brightest, out
):
    """As :func:`add_power` without a limit, else as :func:`add_bright`.

    Row by row of each frame: the two rows that are mixed stay at hand.

    Rows are named by their numbers, not handed on as views: a view costs as much as a hundred
    samples. Unsigned numbers spare the question whether they count from the end.
    """
    height, width = out.shape
    rows = np.empty((2, width + 1), np.float32)
    last = frames.shape[1] - 1
    for n in range(which.size):
        whole, before = parts[n, 0] == 0 and parts[n, 1] == 0, 0
        for r in range(height + 1):
            row, left, here = min(max(corners[n, 0] + r, 0), last), corners[n, 1], r % 2
            if limit == 0:
                brightest[n, r] = _brightest(frames, which[n], row, left, width)
            level = int(brightest[n, r])
            if level >= limit:
                _convert(frames, which[n], row, left, scale, limit, rows, here)
            if whole:  # nothing to mix
                if r < height and level >= limit:
                    _add_row(rows, here, out, r)
            elif r > 0 and max(level, before) >= limit:
                if level < limit:
                    rows[here] = 0
                if before < limit:
                    rows[1 - here] = 0
                _mix_rows(rows, 1 - here, here, parts[n, 0], parts[n, 1], out, r - 1)
            before = level


@inlined
def _add_row(rows, here, out, r):  # type: ignore[no-untyped-def]
    """Add one row to row ``r``."""
    here, r = np.uint64(here), np.uint64(r)
    for k in range(out.shape[1]):
        c = np.uint64(k)
        out[r, c] += rows[here, c]


@inlined
def _mix_rows(rows, above, below, down, along, out, r):  # type: ignore[no-untyped-def]
    """Add the bilinear mixture of two rows to row ``r``."""
    up, before = np.float32(1) - down, np.float32(1) - along
    w00, w01, w10, w11 = up * before, up * along, down * before, down * along
    one, above, below, r = np.uint64(1), np.uint64(above), np.uint64(below), np.uint64(r)
    for k in range(out.shape[1]):
        c = np.uint64(k)
        out[r, c] += (
            w00 * rows[above, c]
            + w01 * rows[above, c + one]
            + w10 * rows[below, c]
            + w11 * rows[below, c + one]
        )


@inlined
def _within(size, left, width):  # type: ignore[no-untyped-def]
    """Which of ``width`` samples from ``left`` lie in a row, and where in it they begin."""
    first, end = min(max(-left, 0), width - 1), max(min(size - left, width), 1)
    return first, end, min(max(left, 0), size - 1)


@inlined
def _brightest(frames, t, r, left, width):  # type: ignore[no-untyped-def]
    """Give the brightest grey level of the samples of a row."""
    first, end, begin = _within(frames.shape[2], left, width + 1)
    t, r, begin = np.uint64(t), np.uint64(r), np.uint64(begin)
    brightest = np.uint8(0)
    for k in range(end - first):
        level = frames[t, r, begin + np.uint64(k)]
        brightest = max(brightest, level)
    return brightest


@inlined
def _convert(frames, t, r, left, scale, limit, out, n):  # type: ignore[no-untyped-def]
    """Write a row's echo power, or which of its samples reach ``limit``, to row ``n``."""
    width = out.shape[1]
    first, end, begin = _within(frames.shape[2], left, width)
    t, r, n, begin, start = (
        np.uint64(t), np.uint64(r), np.uint64(n), np.uint64(begin), np.uint64(first)
    )  # fmt: skip
    if limit > 0:
        for k in range(end - first):
            level = np.int32(frames[t, r, begin + np.uint64(k)])
            out[n, start + np.uint64(k)] = np.float32(level >= limit)
    else:
        for k in range(end - first):
            level = np.int32(frames[t, r, begin + np.uint64(k)])
            out[n, start + np.uint64(k)] = exp32(np.float32(level) * scale)
    for c in range(first):
        out[n, c] = out[n, first]
    for c in range(end, width):
        out[n, c] = out[n, end - 1]


def sums_by_label(
    image: NDArray[np.float32], labels: NDArray[np.uint8], count: int
) -> NDArray[np.float64]:
    """Sum of an image (h, w) over each label 0 to ``count - 1``."""
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
