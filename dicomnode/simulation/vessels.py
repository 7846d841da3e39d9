"""Vessels that feed a lesion."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

__all__ = ["feed"]


def feed(
    rng: np.random.Generator, region: NDArray[np.bool_], spacing_mm: float, count: int
) -> NDArray[np.bool_]:
    """Draw ``count`` winding vessels that run from the surroundings to the region's edge."""
    course = np.zeros(region.shape, bool)
    rows, columns = np.nonzero(region)
    centre = np.array([rows.mean(), columns.mean()])
    radius_px = np.sqrt(len(rows) / np.pi)
    for _ in range(count):
        points = _walk(rng, centre, 0.6 * radius_px, rng.uniform(4.0, 10.0) / spacing_mm)
        inside = np.rint(points).astype(int)
        kept = ((inside >= 0) & (inside < region.shape)).all(axis=1)
        course[tuple(inside[kept].T)] = True
    width_px = round(0.12 / spacing_mm)
    return np.asarray(binary_dilation(course, iterations=width_px)) if width_px else course


def _walk(
    rng: np.random.Generator, centre: NDArray[np.float64], start_px: float, length_px: float
) -> NDArray[np.float64]:
    """Points half a pixel apart along a path that leads outwards and keeps turning."""
    steps = int(2 * length_px)
    angle = rng.uniform(0, 2 * np.pi)
    turning = np.cumsum(rng.standard_normal(steps)) * 2.2 / np.sqrt(2 * length_px)
    heading = angle + turning
    outwards = np.array([np.sin(angle), np.cos(angle)])
    step = 0.5 * np.stack([np.sin(heading), np.cos(heading)], axis=1)
    return np.asarray(centre + start_px * outwards + np.cumsum(step, axis=0))
