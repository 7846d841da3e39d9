"""Ultrasound regions: where the header says an image lies and how large its pixels are."""

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from dicomnode.dicom.box import Box
from dicomnode.dicom.header import tag_text
from dicomnode.errors import InputError

__all__ = ["Region", "has_colour_flow", "image_regions"]

TWO_D = 1
CENTIMETRES = 3
"""The only unit of length a region can have (PS3.3 C.8.5.5.1.15)."""
COLOUR_FLOW = 2
"""Region Data Type of colour Doppler (PS3.3 C.8.5.5.1.2)."""
SLACK_PX = 2
"""By how much a region may overhang the image; vendors count the last pixel differently."""
SPACING_MM = (0.005, 2.0)


@dataclass(frozen=True, kw_only=True)
class Region:
    """One two-dimensional region in centimetres: its pixels and their (row, column) spacing."""

    box: Box
    spacing_mm: tuple[float, float]


def has_colour_flow(header: Dataset) -> bool:
    """Whether a region is declared as colour Doppler."""
    regions = header.get("SequenceOfUltrasoundRegions") or []
    return any(region.get("RegionDataType") == COLOUR_FLOW for region in regions)


def image_regions(header: Dataset, name: str) -> tuple[Region, ...]:
    """Two-dimensional regions with a physical size (PS3.3 C.8.5.5), the largest first.

    Raises
    ------
    InputError
        If none is there, or one does not fit the image: then no pixel's size is known.
    """
    items = [
        item
        for item in header.get("SequenceOfUltrasoundRegions") or []
        if item.get("RegionSpatialFormat") == TWO_D
        and item.get("PhysicalUnitsXDirection") == CENTIMETRES
        and item.get("PhysicalUnitsYDirection") == CENTIMETRES
    ]
    if not items:
        raise InputError(
            "no-regions",
            f"{name}: {tag_text('SequenceOfUltrasoundRegions')}: expected a 2D region in cm, found "
            f"none: the size of a pixel is not known",
        )
    regions = [_region(item, int(header.Rows), int(header.Columns), name) for item in items]
    return tuple(sorted(regions, key=lambda region: -region.box.area))


def _region(item: Dataset, rows: int, columns: int, name: str) -> Region:
    corners = [
        item.get(keyword)
        for keyword in (
            "RegionLocationMinY0",
            "RegionLocationMinX0",
            "RegionLocationMaxY1",
            "RegionLocationMaxX1",
        )
    ]
    if any(corner is None for corner in corners):
        raise _bad(name, "RegionLocationMinX0", "four corners", "some missing")
    top, left, bottom, right = (int(corner) for corner in corners)
    if bottom >= rows + SLACK_PX or right >= columns + SLACK_PX or top >= bottom or left >= right:
        found = f"columns {left} to {right}, rows {top} to {bottom}"
        expected = f"a rectangle inside {columns} columns and {rows} rows"
        raise _bad(name, "RegionLocationMaxX1", expected, found)
    deltas_cm = [abs(float(item.get(k) or 0)) for k in ("PhysicalDeltaY", "PhysicalDeltaX")]
    spacing_mm = (deltas_cm[0] * 10, deltas_cm[1] * 10)
    low, high = SPACING_MM
    if not all(np.isfinite(mm) and low <= mm <= high for mm in spacing_mm):
        found = f"{spacing_mm[0]:g} and {spacing_mm[1]:g} mm"
        raise _bad(name, "PhysicalDeltaX", f"pixels of {low:g} to {high:g} mm", found)
    box = Box(
        row=top,
        column=left,
        rows=min(bottom, rows - 1) - top + 1,
        columns=min(right, columns - 1) - left + 1,
    )
    return Region(box=box, spacing_mm=spacing_mm)


def _bad(name: str, keyword: str, expected: str, found: str) -> InputError:
    return InputError(
        "bad-regions",
        f"{name}: {tag_text('SequenceOfUltrasoundRegions')}, {tag_text(keyword)}: expected "
        f"{expected}, found {found}",
    )
