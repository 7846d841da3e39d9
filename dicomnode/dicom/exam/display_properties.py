"""Display properties of a contrast exam: colour map and burned-in graphics."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.box import Box
from dicomnode.dicom.exam.colour import ColourMap, choose_map, find_bars, seen_colours
from dicomnode.dicom.exam.graphics import graphics_mask
from dicomnode.dicom.exam.layout import MOVING

__all__ = ["DisplayProperties", "display_properties"]

U8 = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class DisplayProperties:
    """The contrast pane's colour map, and the ink in either pane, (R, C) of a pane."""

    colour_map: ColourMap
    graphics: NDArray[np.bool_]
    warnings: tuple[str, ...]


def display_properties(frames: U8, contrast: Box, bmode: Box | None) -> DisplayProperties:
    """Look at frames (T, R, C, 3) spread over a clip."""
    bars = find_bars(frames)
    colours = _colours(frames, contrast)
    colour_map = choose_map(colours, bars)
    ink = graphics_mask(frames, contrast, colours, bars)
    if bmode is not None:
        ink |= graphics_mask(frames, bmode, _colours(frames, bmode), bars)
    warning = colour_map.warning
    return DisplayProperties(
        colour_map=colour_map, graphics=ink, warnings=() if warning is None else (warning,)
    )


def _colours(frames: U8, box: Box) -> NDArray[np.float64]:
    rows, columns = box.slices
    pane = frames[:, rows, columns]
    return seen_colours(pane, np.ptp(pane[..., 0], axis=0) > MOVING)
