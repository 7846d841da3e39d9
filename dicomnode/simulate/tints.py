"""Colour maps that scanners lay over the contrast pane."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["TINTS", "colours"]

_AMBER = (
    (0, 0, 0, 0),
    (10, 9, 4, 2),
    (30, 30, 14, 5),
    (50, 50, 24, 7),
    (70, 70, 35, 11),
    (90, 90, 48, 15),
    (110, 110, 62, 21),
    (130, 130, 78, 29),
    (150, 150, 95, 38),
    (170, 170, 114, 50),
    (190, 190, 135, 63),
    (210, 210, 159, 81),
    (230, 230, 188, 112),
    (255, 255, 225, 170),
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
