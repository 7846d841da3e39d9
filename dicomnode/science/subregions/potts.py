"""Label maps that hang together: a Potts model between neighbours, and no specks."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["chessboard", "merge_specks", "neighbours", "smooth", "softmax"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Integer = TypeVar("Integer", bound=np.integer)

_SWEEPS = 12
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
    """Give connected specks of the labels 1..count to the commonest of them next to it.

    One speck at a time, small ones first, so that two specks side by side become one. What has no
    other of these labels next to it stays, however small.
    """
    labels = labels.copy()
    while _merge_some(labels, count, smallest_px):
        pass  # every merger leaves fewer pieces
    return labels


def _merge_some(labels: NDArray[np.uint8], count: int, smallest_px: float) -> bool:
    """Merge, in place, the specks that no merger before theirs has made larger; tell if any was."""
    pieces = _pieces(labels, count)
    merged = False
    for speck in _specks(pieces, smallest_px):
        around = _around(labels, pieces, speck)
        if (around == labels[speck][0]).any():
            continue
        around = around[(around > 0) & (around <= count)]
        if around.size:
            labels[speck] = np.bincount(around).argmax()  # the lowest of equals
            merged = True
    return merged


def _pieces(labels: NDArray[np.uint8], count: int) -> NDArray[np.intp]:
    """Connected pieces of the labels 1..count, numbered from 1; 0 elsewhere."""
    pieces, last = np.zeros(labels.shape, np.intp), 0
    for number in range(1, count + 1):
        parts, found = ndimage.label(labels == number, _NEXT_TO)
        pieces += np.where(parts > 0, parts + last, 0)
        last += found
    return pieces


def _specks(pieces: NDArray[np.intp], smallest_px: float) -> list[tuple[NDArray[np.intp], ...]]:
    """Pixels of each piece that is too small, the smallest first."""
    sizes = np.bincount(pieces.ravel())
    small = sizes < smallest_px
    small[0] = False
    pixels = np.nonzero(small[pieces])
    piece = pieces[pixels]
    order = np.lexsort((piece, sizes[piece]))
    ends = 1 + np.flatnonzero(np.diff(piece[order]))
    rows, columns = (np.split(each[order], ends) for each in pixels)
    return [each for each in zip(rows, columns, strict=True) if each[0].size]


def _around(
    labels: NDArray[np.uint8], pieces: NDArray[np.intp], speck: tuple[NDArray[np.intp], ...]
) -> NDArray[np.uint8]:
    """Labels next to a speck, once for each side that touches it."""
    steps = ((-1, 0), (1, 0), (0, -1), (0, 1))
    label, piece = (
        np.concatenate([_shifted(image, speck, step) for step in steps])
        for image in (labels, pieces)
    )
    return np.asarray(label[piece != pieces[speck][0]])


def _shifted(
    image: NDArray[Integer], pixels: tuple[NDArray[np.intp], ...], step: tuple[int, int]
) -> NDArray[Integer]:
    rows, columns = pixels[0] + step[0], pixels[1] + step[1]
    inside = (rows >= 0) & (rows < image.shape[0]) & (columns >= 0) & (columns < image.shape[1])
    return np.asarray(image[rows[inside], columns[inside]])
