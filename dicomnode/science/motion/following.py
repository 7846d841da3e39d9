"""Register frames whose pattern changes with time: outwards from the best, template by template."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.motion.matching import Match, Matcher, Polisher, crop
from dicomnode.science.sampling import align

__all__ = ["CLUELESS_NCC", "Coarse", "Fine", "follow"]

CLUELESS_NCC = 0.08
"""Below this a match says nothing: the shift is taken from the neighbours in time."""
_MORE_PIXELS = 3
"""Shrunken pixels that are searched beyond where the surest frames went."""
_RENEWAL = 0.1
"""Share of the template that each frame renews: it remembers about ten frames."""
_FASTEST_RENEWAL = 0.5
"""The same where the pattern changes fast: as contrast arrives it remembers two frames."""
_FIRM_LEAD = 0.15
"""A frame whose first-tier peak leads by this much is where the loop's mean says it is."""
_SURE_LEAD = 0.05
"""A peak of the first tier that leads by less may be chance."""
_POLISHED_NCC = 0.2
_POLISH_PX = 1.5
"""A polished shift counts if it is this alike, and this near the match in shrunken pixels."""


@dataclass(frozen=True, kw_only=True)
class Coarse:
    """What the first tier looks at: shrunken frames, what of them counts, how far to look."""

    frames: NDArray[np.uint8]
    weight: NDArray[np.float32]
    reach: tuple[int, int]
    factor: int

    @property
    def searchable(self) -> bool:
        """Whether anything that counts lies farther from the edges than the search reaches."""
        (rows, columns), (up, across) = self.weight.shape, self.reach
        return bool(self.weight[up : rows - up, across : columns - across].any())

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
    coarse: Coarse,
    fine: Fine,
    shift_px: NDArray[np.float64],
    ncc: NDArray[np.float64],
    lead: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Match the frames that are not sure yet against a template that follows the change of pattern.

    Sure frames keep their shift, so that no error adds up over them: before arrival, where tissue
    shows another pattern than enhancement does, frames are reached through those of the wash-in.

    Parameters
    ----------
    coarse, fine : Coarse, Fine
    shift_px : ndarray of float64, shape (T, 2)
        Against one template for the whole loop.
    ncc, lead : ndarray of float64, shape (T,)
        Likeness to that template, and by how much the first tier preferred the place.

    Returns
    -------
    (shift_px, ncc)
        Of the same shapes, against the template of each frame's time.
    """
    sure = (lead >= _FIRM_LEAD) & (ncc >= _POLISHED_NCC)
    best = np.argsort(-ncc, kind="stable")[: max(3, len(ncc) // 10)]
    start = int(np.median(best))
    reach = _reach(coarse, shift_px[sure] if sure.any() else shift_px[best])
    shift, likeness = shift_px.copy(), ncc.copy()
    for steps in (range(start, len(ncc)), range(start - 1, -1, -1)):
        large, small = fine.mean(best, shift_px), coarse.mean(best, shift_px)
        for t in steps:
            if not sure[t]:
                match = Matcher(small, coarse.weight, reach).match(coarse.frames[t])
                shift[t], likeness[t] = _refined(coarse, fine, large, t, match)
            if likeness[t] >= CLUELESS_NCC:
                share = np.float32(np.clip(1.0 - likeness[t], _RENEWAL, _FASTEST_RENEWAL))
                large += share * (fine.moved(t, shift[t]) - large)
                aligned = align(coarse.frames[t], shift[t] / coarse.factor)
                small += share * (aligned - small)
    return shift, likeness


def _refined(
    coarse: Coarse, fine: Fine, template: NDArray[np.float32], t: int, match: Match
) -> tuple[NDArray[np.float64], float]:
    """Polish a match; keep it as it is where the rectangle shows too little to polish on."""
    guess = match.shift_px * coarse.factor
    shift, ncc = Polisher(template, fine.weight, fine.corner).polish(fine.frames[t], guess)
    near = np.abs(shift - guess).max() <= _POLISH_PX * coarse.factor
    if near and ncc >= _POLISHED_NCC:
        return shift, ncc
    return guess, match.ncc if match.lead >= _SURE_LEAD else 0.0


def _reach(coarse: Coarse, sure_px: NDArray[np.float64]) -> tuple[int, int]:
    """Look no farther than the surest frames went, and a little more: a lost frame stays near."""
    went = np.ceil(np.abs(sure_px).max(axis=0) / coarse.factor).astype(int) + _MORE_PIXELS
    up, across = np.minimum(went, coarse.reach)
    return int(up), int(across)
