"""Label maps that hang together: a Potts model between neighbours, and no specks."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["chessboard", "merge_specks", "neighbours", "smooth", "softmax"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SWEEPS = 12
_MERGES = 8
_NEXT_TO = ndimage.generate_binary_structure(2, 1)


def softmax(scores: Floats) -> Floats:
    """Probabilities in proportion to e^score, along the last axis."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def neighbours(belief: Floats) -> Floats:
    """Sum of the four neighbours' beliefs; shape (R, C, K)."""
    padded = np.pad(belief, ((1, 1), (1, 1), (0, 0)))
    return np.asarray(padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:])


def chessboard(member: Mask) -> tuple[Mask, Mask]:
    """Members (R, C) on white and on black squares: no two of a colour are neighbours."""
    rows, columns = np.indices(member.shape)
    white = (rows + columns) % 2 == 0
    return member & white, member & ~white


def smooth(unary: Floats, member: Mask, beta: float) -> NDArray[np.intp]:
    """Mean field of a Potts model on four neighbours, the colours of a chessboard in turn.

    Parameters
    ----------
    unary : ndarray, shape (R, C, K)
        Log posterior of each pixel by itself.
    member : ndarray of bool, shape (R, C)
        Pixels that take part.
    beta : float
        Gain in log probability for each neighbour of the same label.
    """
    belief = np.where(member[..., None], softmax(unary), 0)
    for turn in chessboard(member) * _SWEEPS:
        belief[turn] = softmax(unary[turn] + beta * neighbours(belief)[turn])
    return np.asarray(belief.argmax(axis=2))


def merge_specks(labels: NDArray[np.uint8], count: int, smallest_px: float) -> NDArray[np.uint8]:
    """Give every connected speck of the labels 1..count to the commonest of them next to it."""
    labels = labels.copy()
    for _ in range(_MERGES):
        merged = labels.copy()
        for number in range(1, count + 1):
            for speck in _specks(labels == number, smallest_px):
                winner = _commonest_around(labels, speck, number, count)
                merged[speck] = winner
        if np.array_equal(merged, labels):
            break
        labels = merged
    return labels


def _specks(region: Mask, smallest_px: float) -> list[tuple[NDArray[np.intp], ...]]:
    parts, found = ndimage.label(region, _NEXT_TO)
    sizes = np.bincount(parts.ravel(), minlength=found + 1)
    small = np.flatnonzero(sizes < smallest_px)
    return [np.nonzero(parts == part) for part in small if part > 0]


def _commonest_around(
    labels: NDArray[np.uint8], speck: tuple[NDArray[np.intp], ...], number: int, count: int
) -> int:
    """Label next to a speck most often, the lowest of equals; its own where nothing is near."""
    around = np.concatenate(
        [_shifted(labels, speck, step) for step in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    )
    around = around[(around > 0) & (around <= count) & (around != number)]
    return int(np.bincount(around).argmax()) if around.size else number


def _shifted(
    labels: NDArray[np.uint8], pixels: tuple[NDArray[np.intp], ...], step: tuple[int, int]
) -> NDArray[np.uint8]:
    rows, columns = pixels[0] + step[0], pixels[1] + step[1]
    inside = (rows >= 0) & (rows < labels.shape[0]) & (columns >= 0) & (columns < labels.shape[1])
    return np.asarray(labels[rows[inside], columns[inside]])
