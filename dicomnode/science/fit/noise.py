"""How much the samples scatter, and what that leaves uncertain."""

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.fit.kernel import SIZE, curves

__all__ = ["SPREAD", "covariance", "dispersion", "share_of_variance", "typical"]

Floats = NDArray[np.float64]

SPREAD = np.array([4.0, 1.0, 0.5, 2.0, 1.5])
"""Standard deviations of the prior around the region's curve: ln A, μ, ln σ, t0 / s, ln B."""


def dispersion(
    theta: Floats, times: Floats, extra: Floats, total: Floats, count: Floats, lift: Floats
) -> Floats:
    """Pearson's dispersion of each pixel: 1 for the speckle that the weights assume.

    Speckle makes the power vary in proportion to what was there before it was lifted.
    """
    model = curves(theta, times, extra)[1]
    ratio = np.divide(total, count, out=model.copy(), where=count > 0) / model
    share = share_of_variance(model, lift) * (count > 0)
    used = np.maximum((count > 0).sum(axis=1), 1)
    free = np.maximum(share.sum(axis=1) * (1 - SIZE / np.maximum(used, SIZE + 1)), 1e-3)
    return np.asarray((count * (ratio - 1) ** 2).sum(axis=1) / free)


def share_of_variance(model: Floats, lift: Floats) -> Floats:
    """Variance of a lifted sample over that which the gamma likelihood gives it, (N, K)."""
    return np.asarray(np.clip(1 - lift[:, np.newaxis] / model, 1e-3, 1.0) ** 2)


def typical(dispersions: Floats, log_auc: Floats, failed: NDArray[np.bool_]) -> float:
    """Median of the brighter half: black pixels, which have no speckle, do not set the scale."""
    usable = ~failed
    if not usable.any():
        return 1.0
    brighter = usable & (log_auc >= np.median(log_auc[usable]))
    return max(float(np.median(dispersions[brighter])), 1e-9)


def covariance(fisher: Floats, noise: Floats, dispersions: Floats) -> Floats:
    """Sandwich A⁻¹ B A⁻¹: A is what the lifted samples weigh, B how much they truly vary."""
    prior = np.diag(SPREAD**-2.0)
    inverse = np.linalg.inv((fisher - prior) / dispersions[:, None, None] + prior)
    varies = (noise - prior) / dispersions[:, None, None] + prior
    return np.asarray(inverse @ varies @ inverse)
