"""The five kinds of perfusion in a lesion, and where in the lesion they lie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from dicomnode.simulation.recipe import LesionPlan

__all__ = [
    "GLAND_PEAK",
    "HABITATS",
    "TISSUES",
    "PerfusionClass",
    "enlarge",
    "lay_out",
    "smooth_field",
]


@dataclass(frozen=True, kw_only=True)
class PerfusionClass:
    """Perfusion of one kind of tissue: peak in units of habitat 3's, and shape in time."""

    name: str
    peak: float
    ttp_s: float
    """Time from arrival to peak."""
    sigma: float
    """Width of the lognormal curve; the other models take the same curvature at their peak."""
    lag_s: float = 0.0


GLAND_PEAK = 0.42
"""Peak of the gland in units of an intermediate habitat's."""

HABITATS: tuple[PerfusionClass, ...] = (
    PerfusionClass(name="non-perfused", peak=0.025, ttp_s=16.0, sigma=0.85),
    PerfusionClass(name="slow low", peak=0.42, ttp_s=17.0, sigma=0.86, lag_s=1.5),
    PerfusionClass(name="intermediate", peak=1.0, ttp_s=12.5, sigma=0.80, lag_s=0.8),
    PerfusionClass(name="fast in, slow out", peak=1.5, ttp_s=9.0, sigma=0.93, lag_s=0.3),
    PerfusionClass(name="fast in, fast out", peak=2.0, ttp_s=7.0, sigma=0.60),
)
"""Sub-region numbers 1 to 5, in this order."""

TISSUES: tuple[PerfusionClass, ...] = (
    PerfusionClass(name="fat", peak=0.12, ttp_s=16.0, sigma=0.85, lag_s=2.0),
    PerfusionClass(name="gland", peak=GLAND_PEAK, ttp_s=14.0, sigma=0.85, lag_s=1.2),
    PerfusionClass(name="muscle", peak=0.3, ttp_s=15.0, sigma=0.85, lag_s=1.2),
    PerfusionClass(name="feeding vessel", peak=2.5, ttp_s=6.0, sigma=0.75, lag_s=-2.0),
)
"""Tissue numbers 6 to 9, in this order; they continue the numbers of the habitats."""


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int], scale_px: float | tuple[float, float]
) -> NDArray[np.float32]:
    """Gaussian random field, zero mean and unit variance, correlated over ``scale_px``."""
    white = rng.standard_normal(shape, dtype=np.float32)
    smooth = gaussian_filter(white, scale_px, mode="wrap", truncate=3.0)
    smooth -= smooth.mean()
    return np.asarray(smooth / max(float(smooth.std()), 1e-6), np.float32)


def enlarge(mask: NDArray[np.bool_], fraction: float) -> NDArray[np.bool_]:
    """Grow a mask outwards until its area is ``1 + fraction`` of what it was."""
    if fraction <= 0:
        return mask.copy()
    distance = distance_transform_edt(~mask)
    wanted = round(float(mask.sum()) * (1 + fraction))
    limit = np.partition(distance.ravel(), wanted)[wanted]
    return np.asarray(distance < limit) | mask


def lay_out(
    rng: np.random.Generator, region: NDArray[np.bool_], plan: LesionPlan, spacing_mm: float
) -> NDArray[np.uint8]:
    """Sub-region number of every pixel of the region, 0 outside.

    The habitats take their shares in order along a score that mixes depth below the edge with a
    smooth random field, so that they form shells, patches or both.
    """
    depth = distance_transform_edt(region)
    depth = depth / max(float(depth.max()), 1.0)
    patches = smooth_field(rng, region.shape, 1.8 / spacing_mm)
    score = plan.rim_weight * 2.0 * (1.0 - depth) + (1.0 - plan.rim_weight) * patches
    rank = np.argsort(np.argsort(score[region], kind="stable"), kind="stable")
    shares = np.array([plan.fractions[number - 1] for number in plan.core_to_rim])
    limits = np.cumsum(shares) / shares.sum() * len(rank)
    place = np.minimum(np.searchsorted(limits, rank, side="right"), len(shares) - 1)
    numbers = np.zeros(region.shape, np.uint8)
    numbers[region] = np.asarray(plan.core_to_rim, np.uint8)[place]
    return numbers
