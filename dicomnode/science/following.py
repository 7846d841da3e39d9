"""Register frames whose pattern changes with time: outwards from the best, template by template."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.matching import Matcher, Polisher, crop
from dicomnode.science.sampling import align

__all__ = ["CLUELESS_NCC", "Coarse", "Fine", "follow"]

CLUELESS_NCC = 0.08
"""Below this a match says nothing: the shift is taken from the neighbours in time."""
_MORE_PIXELS = 3
"""Shrunken pixels that are searched beyond where the surest frames went."""
_RENEWAL = 0.1
"""Share of the template that each frame renews: it remembers about ten frames."""


@dataclass(frozen=True, kw_only=True)
class Coarse:
    """What the first tier looks at: shrunken frames, what of them counts, how far to look."""

    frames: NDArray[np.uint8]
    weight: NDArray[np.float32]
    reach: tuple[int, int]
    factor: int

    def mean(self, which: NDArray[np.intp], shift_px: NDArray[np.float64]) -> NDArray[np.float32]:
        """Average the given frames, each moved back by its shift in full-size pixels."""
        moved = [align(self.frames[t], shift_px[t] / self.factor) for t in which]
        return np.asarray(np.mean(moved, axis=0), np.float32)


@dataclass(frozen=True, kw_only=True)
class Fine:
    """What the second tier looks at: a rectangle of the full-size frames, what of it counts."""

    frames: NDArray[np.uint8]
    weight: NDArray[np.float32]
    corner: tuple[int, int]

    def moved(self, t: int, shift_px: NDArray[np.float64]) -> NDArray[np.float32]:
        """Sample the rectangle in frame t, moved back by its shift."""
        return crop(self.frames[t], self.corner, self.weight.shape, shift_px)

    def mean(self, which: NDArray[np.intp], shift_px: NDArray[np.float64]) -> NDArray[np.float32]:
        """Average the rectangle over the given frames, each moved back by its shift."""
        return np.asarray(np.mean([self.moved(t, shift_px[t]) for t in which], axis=0), np.float32)


def follow(
    coarse: Coarse, fine: Fine, shift_px: NDArray[np.float64], ncc: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Match again, frame after frame, against a template that follows the change of the pattern.

    Parameters
    ----------
    coarse, fine : Coarse, Fine
    shift_px : ndarray of float64, shape (T, 2)
        First answer, right at least where ``ncc`` is high: the template starts there.
    ncc : ndarray of float64, shape (T,)

    Returns
    -------
    (shift_px, ncc)
        Of the same shapes, against the template of each frame's time.
    """
    best = np.argsort(-ncc, kind="stable")[: max(3, len(ncc) // 10)]
    start = int(np.median(best))
    reach = _reach(coarse, shift_px[best])
    shift, likeness = shift_px.copy(), ncc.copy()
    for steps in (range(start, len(ncc)), range(start - 1, -1, -1)):
        large, small = fine.mean(best, shift_px), coarse.mean(best, shift_px)
        for t in steps:
            guess, _ = Matcher(small, coarse.weight, reach).match(coarse.frames[t])
            polisher = Polisher(large, fine.weight, fine.corner)
            shift[t], likeness[t] = polisher.polish(fine.frames[t], guess * coarse.factor)
            if likeness[t] >= CLUELESS_NCC:
                large += np.float32(_RENEWAL) * (fine.moved(t, shift[t]) - large)
                aligned = align(coarse.frames[t], shift[t] / coarse.factor)
                small += np.float32(_RENEWAL) * (aligned - small)
    return shift, likeness


def _reach(coarse: Coarse, sure_px: NDArray[np.float64]) -> tuple[int, int]:
    """Look no farther than the surest frames went, and a little more: a lost frame stays near."""
    went = np.ceil(np.abs(sure_px).max(axis=0) / coarse.factor).astype(int) + _MORE_PIXELS
    up, across = np.minimum(went, coarse.reach)
    return int(up), int(across)
