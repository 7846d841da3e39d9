"""Place of the tissue in each frame: breathing, drift and slipping out of the plane."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from dicomnode.simulation.recipe import Tissue

__all__ = ["Path", "move"]

AXIAL_SHARE = (0.35, 0.94)
"""Breathing moves the breast mostly along the skin: row and column share."""


@dataclass(frozen=True)
class Path:
    """Displacement of the tissue per frame.

    Attributes
    ----------
    shift_px : ndarray of float64, shape (T, 2)
        Row and column by which the tissue lies off its place in the truth.
    plane_angle : ndarray of float64, shape (T,)
        0 in the plane of the truth; at pi/2 the speckle has nothing left of it.
    """

    shift_px: NDArray[np.float64]
    plane_angle: NDArray[np.float64]


def move(
    rng: np.random.Generator, tissue: Tissue, times_s: NDArray[np.float64], spacing_mm: float
) -> Path:
    """Draw the motion of one exam.

    Simplified: the tissue moves as a whole, and slipping out of the plane changes its speckle but
    not the lesion's outline.
    """
    phase = rng.uniform(0, 2 * np.pi)
    wander = 1 + 0.25 * _slow(rng, times_s, 8.0)
    cycle = 2 * np.pi * tissue.breathing_hz * times_s + phase + 0.4 * _slow(rng, times_s, 10.0)
    breath = 0.5 * tissue.breathing_mm * wander * (np.sin(cycle) + 0.2 * np.sin(2 * cycle))
    drift = np.stack([_slow(rng, times_s, 25.0), _slow(rng, times_s, 25.0)], axis=1)
    drift = (drift - drift[:1]) * 0.5 * tissue.drift_mm
    shift_mm = breath[:, None] * np.asarray(AXIAL_SHARE) + drift
    elevation = tissue.out_of_plane_mm * (0.7 * _slow(rng, times_s, 20.0) + 0.5 * np.sin(cycle))
    angle = np.clip(elevation / tissue.correlation_mm, -1, 1) * np.pi / 2
    shift_mm = np.clip(shift_mm, -tissue.reach_mm, tissue.reach_mm)
    return Path(shift_mm / spacing_mm, angle)


def _slow(
    rng: np.random.Generator, times_s: NDArray[np.float64], scale_s: float
) -> NDArray[np.float64]:
    """Smooth random curve of unit variance that changes over ``scale_s``."""
    step_s = scale_s / 8
    count = int(np.ceil((times_s[-1] - times_s[0]) / step_s)) + 2
    margin = 32
    walk = gaussian_filter1d(rng.standard_normal(count + 2 * margin), 4.0)[margin:-margin]
    unit = walk * np.sqrt(2 * np.sqrt(np.pi) * 4.0)
    return np.asarray(np.interp((times_s - times_s[0]) / step_s, np.arange(count), unit))
