"""How much the samples scatter, and what that leaves uncertain."""

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import AVAILABLE
from dicomnode.science.fit.kernel import sandwich_compiled

__all__ = ["covariance", "typical"]

Floats = NDArray[np.float64]

_LEAST = 1e-6
"""Samples as even as this have no noise that could be estimated."""


def typical(scatter: Floats, log_pe: Floats, failed: NDArray[np.bool_]) -> float:
    """Median of the brighter half: black pixels, which have no speckle, do not set the scale."""
    usable = ~failed
    if not usable.any():
        return 1.0
    brighter = usable & (log_pe >= np.median(log_pe[usable]))
    return max(float(np.median(scatter[brighter])), _LEAST)


def covariance(information: Floats, varying: Floats, scatter: Floats, precision: Floats) -> Floats:
    """Sandwich A⁻¹ B A⁻¹: A is what the lifted samples weigh, B how much they truly vary.

    Parameters
    ----------
    information, varying : ndarray, shape (N, 5, 5)
        From :class:`~dicomnode.science.fit.climb.Climbed` and
        :class:`~dicomnode.science.fit.climb.Judgement`.
    scatter : ndarray, shape (N,)
        Dispersion of each pixel.
    precision : ndarray, shape (5, 5)
        Of the prior.
    """
    if AVAILABLE:
        found = np.empty_like(information)
        sandwich_compiled(information, varying, scatter, precision, found)
        return found
    inverse = np.linalg.inv(information / scatter[:, None, None] + precision)
    return np.asarray(inverse @ (varying / scatter[:, None, None] + precision) @ inverse)
