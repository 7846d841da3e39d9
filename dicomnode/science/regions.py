"""Regions around a lesion and their geometry: ring, reference tissue, outline, axes."""

from collections.abc import Mapping

import contourpy
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

__all__ = [
    "area_mm2",
    "axes_mm",
    "enhanced_region",
    "enlargement_ratio",
    "outlines",
    "reference_tissue",
    "ring",
]

_SMOOTHING_MM = 0.7
_TISSUE_AREA_MM2 = 30.0
"""Least area of reference tissue before the depth band is widened."""
_EDGE_MM = 2.0
_ENLARGED_MM = 6.0
"""Farthest that enhancement beyond the lesion's edge is counted as the lesion's."""


def area_mm2(mask: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> float:
    """Area of a mask in square millimetres."""
    return float(np.count_nonzero(mask)) * spacing_mm[0] * spacing_mm[1]


def ring(
    mask: NDArray[np.bool_], spacing_mm: tuple[float, float], width_mm: float
) -> NDArray[np.bool_]:
    """Give the pixels outside a mask but within ``width_mm`` of it.

    Parameters
    ----------
    mask : ndarray of bool, shape (R, C)
        At least one pixel.
    spacing_mm : (float, float)
        Row and column spacing in millimetres.
    width_mm : float

    Returns
    -------
    ndarray of bool, shape (R, C)
    """
    _check(mask, spacing_mm)
    distance = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    return np.asarray(~mask & (distance <= width_mm))


def reference_tissue(
    images: Mapping[str, NDArray[np.float32]],
    lesion: NDArray[np.bool_],
    excluded: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
    gap_mm: float,
) -> NDArray[np.bool_]:
    """Find enhancing tissue to compare the lesion with, at the lesion's depth.

    Candidates lie outside the lesion and the ring around it, are not excluded, and lie in the rows
    of the lesion (more rows are taken while less than 30 mm² enhance). Of these, the half
    that rises most is taken, smoothed over 0.7 mm and without specks.

    Parameters
    ----------
    images : mapping of str to ndarray of float32, shape (R, C)
        Of :func:`dicomnode.science.loop.summary_images`.
    lesion : ndarray of bool, shape (R, C)
    excluded : ndarray of bool, shape (R, C)
        Graphics and static structures.
    spacing_mm : (float, float)
    gap_mm : float
        Width of the ring, which is measured by itself.

    Returns
    -------
    ndarray of bool, shape (R, C)
        Empty only where nothing is left outside lesion and ring.
    """
    _check(lesion, spacing_mm)
    rise = _smooth(images["contrast_mean"] - images["contrast_start"], spacing_mm)
    free = ~lesion & ~excluded & ~ring(lesion, spacing_mm, gap_mm)
    rows = np.flatnonzero(lesion.any(axis=1))
    floor = 0.25 * float(np.percentile(rise[~excluded], 95)) if (~excluded).any() else 0.0
    for margin_mm in (0.0, 2.0, 4.0, 8.0, 1e6):
        band = _band(lesion.shape, rows, margin_mm / spacing_mm[0])
        found = _upper_half(rise, free & band & (rise > floor), spacing_mm)
        if area_mm2(found, spacing_mm) >= _TISSUE_AREA_MM2:
            return found
    return found if found.any() else free


def _smooth(image: NDArray[np.float32], spacing_mm: tuple[float, float]) -> NDArray[np.float32]:
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(
        image, [_SMOOTHING_MM / spacing for spacing in spacing_mm]
    )
    return smooth


def _band(shape: tuple[int, ...], rows: NDArray[np.intp], margin_px: float) -> NDArray[np.bool_]:
    every = np.arange(shape[0])[:, np.newaxis]
    inside = (every >= rows[0] - margin_px) & (every <= rows[-1] + margin_px)
    return np.broadcast_to(inside, shape)


def _upper_half(
    rise: NDArray[np.float32], candidates: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    if not candidates.any():
        return candidates
    upper = candidates & (rise >= np.median(rise[candidates]))
    return _without_specks(upper, spacing_mm, 1.0)


def _without_specks(
    mask: NDArray[np.bool_], spacing_mm: tuple[float, float], least_mm2: float
) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel()) * (spacing_mm[0] * spacing_mm[1])
    sizes[0] = 0
    kept: NDArray[np.bool_] = (sizes >= least_mm2)[labels]
    return kept


def enhanced_region(
    images: Mapping[str, NDArray[np.float32]],
    lesion: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
) -> NDArray[np.bool_]:
    """Find how far the lesion extends in contrast: itself and what enhances like its edge.

    A pixel within 6 mm of the lesion and joined to it belongs to it where its greatest rise is
    nearer to that of the lesion's outer 2 mm than to that of the reference tissue. Where these
    two differ by less than two standard deviations of the tissue, enhancement does not tell
    where the lesion ends and the region is empty.

    Parameters
    ----------
    images : mapping of str to ndarray of float32, shape (R, C)
        Of :func:`dicomnode.science.loop.summary_images`.
    lesion, tissue : ndarray of bool, shape (R, C)
    spacing_mm : (float, float)

    Returns
    -------
    ndarray of bool, shape (R, C)
        Holes are filled.
    """
    _check(lesion, spacing_mm)
    rise = _smooth(images["contrast_max"] - images["contrast_start"], spacing_mm)
    if not tissue.any():
        return np.zeros_like(lesion)
    edge = lesion & ring(~lesion, spacing_mm, _EDGE_MM) if not lesion.all() else lesion
    inside, outside = float(np.median(rise[edge])), float(np.median(rise[tissue]))
    if inside - outside < 2.0 * float(np.std(rise[tissue])):
        return np.zeros_like(lesion)
    near = ring(lesion, spacing_mm, _ENLARGED_MM) & (rise > 0.5 * (inside + outside))
    labels, _ = ndimage.label(lesion | near)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(
        np.isin(labels, np.unique(labels[lesion]))
    )
    return filled


def enlargement_ratio(enhanced: NDArray[np.bool_], lesion: NDArray[np.bool_]) -> float | None:
    """Area of the lesion in contrast over its area on B-mode; None where there is none."""
    if not enhanced.any() or not lesion.any():
        return None
    return float(np.count_nonzero(enhanced)) / float(np.count_nonzero(lesion))


def outlines(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Trace the outer boundaries of a mask by marching squares; holes are filled.

    Returns
    -------
    tuple of ndarray of float64, shape (N, 2)
        Closed polygons (first point = last) as row and column of pixel centres, the largest
        first; empty for an empty mask.
    """
    filled = ndimage.binary_fill_holes(mask)
    padded = np.pad(filled, 1).astype(np.float64)
    lines = contourpy.contour_generator(z=padded).lines(0.5)
    polygons = [np.asarray(line, np.float64)[:, ::-1] - 1.0 for line in lines]
    return tuple(sorted(polygons, key=_polygon_area, reverse=True))


def _polygon_area(polygon: NDArray[np.float64]) -> float:
    rows, columns = polygon[:-1].T
    return 0.5 * abs(float(rows @ np.roll(columns, -1) - columns @ np.roll(rows, -1)))


def axes_mm(mask: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> tuple[float, float]:
    """Measure a mask as a reader does: its longest diameter and the extent across it.

    Parameters
    ----------
    mask : ndarray of bool, shape (R, C)
        At least one pixel.
    spacing_mm : (float, float)

    Returns
    -------
    (float, float)
        Largest Feret diameter and the extent perpendicular to it, in millimetres, between the
        outer edges of pixels.
    """
    _check(mask, spacing_mm)
    edges = _edge_points(mask) * np.asarray(spacing_mm)
    hull = edges[ConvexHull(edges).vertices]
    apart = hull[:, np.newaxis] - hull[np.newaxis]
    length = np.hypot(apart[..., 0], apart[..., 1])
    one, other = np.unravel_index(int(np.argmax(length)), length.shape)
    along = apart[one, other] / length[one, other]
    across = hull @ np.array([-along[1], along[0]])
    return float(length[one, other]), float(np.ptp(across))


def _edge_points(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Middles of the pixel edges of the boundary pixels."""
    boundary = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    steps = np.array([(-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5)])
    points: NDArray[np.float64] = (boundary[:, np.newaxis] + steps).reshape(-1, 2)
    return points


def _check(mask: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> None:
    if mask.ndim != 2 or not mask.any():
        raise ValueError(
            f"mask: expected at least one pixel in (R, C), got {int(mask.sum())} "
            f"in shape {mask.shape}"
        )
    if not min(spacing_mm) > 0:
        raise ValueError(f"spacing_mm: expected millimetres above 0, got {spacing_mm}")
