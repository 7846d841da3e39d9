"""Drawings over the reference frame: outlines of regions and where their labels stand.

All coordinates are (column, row) of the whole image, from 0.0 at its upper left corner.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from dicomnode.dicom.box import Box
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.results.segments import Segment, lesion_segment, segments
from dicomnode.science.findings import UNRELIABLE, Findings
from dicomnode.science.regions import outlines

__all__ = ["Drawn", "Place", "Points", "drawn_regions", "in_image", "label_places"]

Points = NDArray[np.float64]
Place = tuple[float, float, float, float]
"""Left, top, right and bottom of a rectangle."""

LINES = 32
"""How many lines of text the height of an image holds."""
LETTER = 0.5
"""Width of a letter over the height of its line."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One region with its outlines, each (N, 2) with the first point repeated at the end."""

    name: str
    """Unique, of capitals, digits and underscores, at most 16 of them (VR CS)."""
    part: Segment
    outlines: tuple[Points, ...]


def drawn_regions(exam: Exam, findings: Findings) -> Iterator[Drawn]:
    """Yield the lesion, then its parts in order of number."""
    lesion = lesion_segment(findings)
    yield _drawn("LESION", lesion, findings.lesion.outlines, exam.contrast)
    for part in segments(findings):
        if part.subregion is not None:
            reliable = part.subregion != UNRELIABLE
            name = f"SUBREGION_{part.subregion}" if reliable else "UNRELIABLE"
            yield _drawn(name, part, _borders(part.mask), exam.contrast)


def _drawn(name: str, part: Segment, polygons: Sequence[Points], pane: Box) -> Drawn:
    placed = tuple(in_image(polygon, pane) for polygon in polygons)
    return Drawn(name=name, part=part, outlines=placed)


def _borders(mask: NDArray[np.bool_]) -> tuple[Points, ...]:
    """Trace a mask's outer borders, then those of its holes, then what lies in these, and so on."""
    holes = binary_fill_holes(mask) & ~mask
    inner = _borders(holes) if holes.any() else ()
    return (*outlines(mask), *inner)


def in_image(polygon: Points, pane: Box) -> Points:
    r"""Return a closed polygon in the image, from (row, column) of pixel centres in the pane.

    In an SR (PS3.3 C.18.6.1.2) as in units of PIXEL of a presentation state (C.10.5) the upper left
    corner of the upper left pixel is 0.0\0.0 and its centre 0.5\0.5.
    """
    points = polygon[:, ::-1] + (pane.column + 0.5, pane.row + 0.5)
    if not np.array_equal(points[0], points[-1]):
        points = np.vstack([points, points[:1]])
    return points


def label_places(regions: Sequence[Drawn], pane: Box, rows: int, columns: int) -> list[Place]:
    """Return a place for the label of each region, below one another and near the first region.

    They stand in the pane where there is room, on that side of the first region, the lesion, that
    has the most of it; in the image of ``rows`` and ``columns`` in any case.
    """
    height = min(rows / LINES, rows / len(regions))
    letters = max(len(region.part.label) for region in regions)
    size = np.array([min(LETTER * height * letters, columns), height * len(regions)])
    points = np.concatenate(regions[0].outlines)
    near, far = points.min(axis=0) - height / 2, points.max(axis=0) + height / 2
    start, end = _room(near, far, pane, size)
    left, top = np.clip(np.clip(near, start, end - size), 0, (columns, rows) - size)
    tops = [float(top + number * height) for number in range(len(regions))]
    return [(float(left), top, float(left + size[0]), top + height) for top in tops]


def _room(near: Points, far: Points, pane: Box, size: Points) -> tuple[Points, Points]:
    """Return two corners of the part of a pane, beside a rectangle, that holds most of ``size``."""
    start = np.array([pane.column, pane.row], np.float64)
    end = start + np.array([pane.columns, pane.rows])
    sides = [
        (start, np.array([near[0], end[1]])),
        (np.array([far[0], start[1]]), end),
        (start, np.array([end[0], near[1]])),
        (np.array([start[0], far[1]]), end),
    ]
    return max(sides, key=lambda side: float(((side[1] - side[0]) / size).min()))
