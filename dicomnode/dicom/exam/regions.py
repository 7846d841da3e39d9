"""Ultrasound regions: where the header says an image lies and how large its pixels are."""

from dataclasses import dataclass, replace

from dicomnode.dicom.box import Box
from dicomnode.dicom.elements import Elements, tag_text

__all__ = ["Region", "has_colour_flow", "image_regions"]

TWO_D = 1
CENTIMETRES = 3
"""The only unit of length a region can have (PS3.3 C.8.5.5.1.15)."""
COLOUR_FLOW = 2
"""Region Data Type of colour Doppler (PS3.3 C.8.5.5.1.2)."""
SLACK_PX = 2
"""By how much a region may overhang the image; vendors count the last pixel differently."""
SPACING_MM = (0.005, 2.0)
MOST_UNEQUAL = 4.0
"""Between the sides of a pixel; a scan converter makes them equal or nearly so."""
SEQUENCE = "SequenceOfUltrasoundRegions"
CORNERS = (
    "RegionLocationMinY0",
    "RegionLocationMinX0",
    "RegionLocationMaxY1",
    "RegionLocationMaxX1",
)
WITHOUT = ": the size of a pixel is not known"


@dataclass(frozen=True, kw_only=True)
class Region:
    """One two-dimensional region in centimetres: its pixels and their (row, column) spacing."""

    box: Box
    spacing_mm: tuple[float, float]


def has_colour_flow(elements: Elements) -> bool:
    """Whether a region is declared as colour Doppler."""
    return any(_kind(region, "RegionDataType") == COLOUR_FLOW for region in _declared(elements))


def image_regions(elements: Elements) -> tuple[Region, ...]:
    """Two-dimensional regions with a physical size (PS3.3 C.8.5.5), the largest first.

    Raises
    ------
    InputError
        If none is there, or one does not fit the image: then no pixel's size is known.
    """
    kinds = {
        "RegionSpatialFormat": TWO_D,
        "PhysicalUnitsXDirection": CENTIMETRES,
        "PhysicalUnitsYDirection": CENTIMETRES,
    }
    flat = [
        region
        for region in _declared(elements)
        if all(_kind(region, keyword) == kind for keyword, kind in kinds.items())
    ]
    if not flat:
        raise elements.wrong(SEQUENCE, "a 2D region in cm", f"none{WITHOUT}", "no-regions")
    rows, columns = (elements.whole(keyword, 1, 65535) for keyword in ("Rows", "Columns"))
    regions = [_region(region, rows, columns) for region in flat]
    return tuple(sorted(regions, key=lambda region: -region.box.area))


def _declared(elements: Elements) -> list[Elements]:
    return list(replace(elements, code="bad-regions").items(SEQUENCE))


def _kind(region: Elements, keyword: str) -> int | None:
    return region.whole(keyword, 0, 65535) if region.states(keyword) else None


def _region(region: Elements, rows: int, columns: int) -> Region:
    top, left, bottom, right = (region.whole(keyword, 0, 65535) for keyword in CORNERS)
    if bottom >= rows + SLACK_PX or right >= columns + SLACK_PX or top >= bottom or left >= right:
        found = f"columns {left} to {right}, rows {top} to {bottom}"
        expected = f"a rectangle inside {columns} columns and {rows} rows"
        raise region.wrong("RegionLocationMaxX1", expected, found)
    box = Box(
        row=top,
        column=left,
        rows=min(bottom, rows - 1) - top + 1,
        columns=min(right, columns - 1) - left + 1,
    )
    height_mm, width_mm = (_mm(region, keyword) for keyword in ("PhysicalDeltaY", "PhysicalDeltaX"))
    if max(height_mm, width_mm) > MOST_UNEQUAL * min(height_mm, width_mm):
        other = tag_text("PhysicalDeltaY")
        expected = f"that and {other} within a factor of {MOST_UNEQUAL:g}"
        found = f"{width_mm / 10:.3g} and {height_mm / 10:.3g} cm"
        raise region.wrong("PhysicalDeltaX", expected, found)
    return Region(box=box, spacing_mm=(height_mm, width_mm))


def _mm(region: Elements, keyword: str) -> float:
    """Size of a pixel; vendors write it with the sign of the axis."""
    low_cm, high_cm = (mm / 10 for mm in SPACING_MM)
    delta_cm = region.number(keyword, -high_cm, high_cm, "cm")
    if abs(delta_cm) < low_cm:
        raise region.wrong(keyword, f"{low_cm:g} to {high_cm:g} cm", f"{delta_cm:g}")
    return abs(delta_cm) * 10
