"""Graphics burned into a pane: text, scales, badges, body marks, colour bars; no echo."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_dilation

from dicomnode.dicom.box import Box
from dicomnode.dicom.decode.samples import luma
from dicomnode.dicom.exam.colour import Bar

__all__ = ["graphics_mask"]

U8 = NDArray[np.uint8]

BRIGHT = 40
"""Darker ink cannot be told from dark echoes, nor does it matter much."""
STEADY = 10
"""Luma of ink varies by less over the clip; only compression makes it vary."""
FOREIGN = 28.0
"""Colour distance from the pane's own colours from which a pixel is ink (RGB units)."""
SHARE = 0.75
"""A foreign colour in at least this share of the frames."""
BLUR_PX = 2
"""Compression smears ink by this much."""


def graphics_mask(
    frames: U8, box: Box, seen: NDArray[np.float64], bars: tuple[Bar, ...]
) -> NDArray[np.bool_]:
    """Find ink in one pane.

    Parameters
    ----------
    frames : ndarray of uint8, shape (T, R, C, 3)
        Whole images spread over the clip.
    box : Box
        The pane.
    seen : ndarray, shape (256, 3)
        Mean colour of the pane's echoes by luma, NaN where not seen.
    bars : tuple of Bar
        Colour bars of the image.
    """
    rows, columns = box.slices
    pane = frames[:, rows, columns]
    levels = luma(pane)
    steady = (np.ptp(levels, axis=0) <= STEADY) & (levels.mean(axis=0) >= BRIGHT)
    ink = binary_dilation(steady | _foreign(pane, levels, seen), iterations=BLUR_PX)
    ink |= binary_closing(ink, iterations=BLUR_PX)
    for bar in bars:
        _add(ink, bar.box, box)
    return np.asarray(ink, np.bool_)


def _foreign(pane: U8, levels: U8, seen: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels that are most of the time in a colour that the pane's echoes never have."""
    known = np.flatnonzero(np.isfinite(seen[:, 0]))
    if not len(known):
        return np.zeros(pane.shape[1:3], np.bool_)
    colours = np.stack(
        [np.interp(np.arange(256), known, seen[known, i]) for i in range(3)], axis=1
    ).astype(np.float32)
    often = np.zeros(pane.shape[1:3], np.int32)
    for frame, level in zip(pane, levels, strict=True):
        distance = np.linalg.norm(frame - colours[level], axis=-1)
        often += (distance > FOREIGN) & (level >= BRIGHT)
    return np.asarray(often >= SHARE * len(pane), np.bool_)


def _add(ink: NDArray[np.bool_], bar: Box, pane: Box) -> None:
    """Mark the part of a bar, with a margin for its frame, that lies in a pane."""
    top = max(bar.row - BLUR_PX - pane.row, 0)
    left = max(bar.column - BLUR_PX - pane.column, 0)
    bottom = bar.row + bar.rows + BLUR_PX - pane.row
    right = bar.column + bar.columns + BLUR_PX - pane.column
    if bottom > 0 and right > 0:
        ink[top:bottom, left:right] = True
