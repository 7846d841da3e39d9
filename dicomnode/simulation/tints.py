"""Colour maps that scanners lay over the contrast pane."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["TINTS", "colours"]

_AMBER = (
    (0, 0, 0, 0),
    (15, 15, 2, 0),
    (30, 30, 7, 1),
    (50, 50, 17, 3),
    (70, 70, 28, 7),
    (90, 90, 43, 12),
    (110, 110, 59, 20),
    (130, 130, 77, 31),
    (150, 150, 96, 44),
    (170, 170, 118, 60),
    (190, 190, 141, 79),
    (210, 210, 165, 102),
    (230, 230, 191, 127),
    (255, 255, 225, 165),
)
_COPPER = ((0, 0, 0, 0), (128, 160, 100, 64), (204, 246, 158, 102), (255, 255, 206, 150))
_GOLD = ((0, 0, 0, 0), (90, 110, 70, 0), (170, 210, 160, 20), (255, 255, 250, 160))
_GREY = ((0, 0, 0, 0), (255, 255, 255, 255))

TINTS: Mapping[str, tuple[tuple[int, int, int, int], ...]] = {
    "amber": _AMBER,
    "copper": _COPPER,
    "gold": _GOLD,
    "grey": _GREY,
}
"""Knots (grey level, red, green, blue); in between, straight lines. Luma rises with grey level."""


def colours(tint: str) -> NDArray[np.uint8]:
    """RGB of every grey level, shape (256, 3)."""
    knots = np.array(TINTS[tint], np.float64)
    levels = np.arange(256)
    channels = [np.interp(levels, knots[:, 0], knots[:, i]) for i in (1, 2, 3)]
    return np.asarray(np.rint(np.stack(channels, axis=1)), np.uint8)
