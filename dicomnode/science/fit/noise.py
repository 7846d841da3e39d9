"""Scatter of the samples, and what it leaves uncertain."""

import math

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import compiled
from dicomnode.science.fit.model import SIZE

__all__ = ["covariance", "typical"]

Floats = NDArray[np.float64]

_LEAST_PIVOT = 1e-9
"""Share of a diagonal element that is left at least after the others are known."""
_LEAST = 1e-6
"""Samples as even as this have no noise that could be estimated."""


def typical(scatter: Floats, log_pe: Floats, failed: NDArray[np.bool_]) -> float:
    """Median of the brighter half: black pixels, which have no speckle, do not set the scale."""
    usable = ~failed
    if not usable.any():
        return 1.0
    brighter = usable & (log_pe >= np.median(log_pe[usable]))
    return max(float(np.median(scatter[brighter])), _LEAST)


def covariance(
    information: NDArray[np.floating],
    varying: NDArray[np.floating],
    scatter: Floats,
    precision: Floats,
) -> Floats:
    """Sandwich A⁻¹ B A⁻¹: A is what the lifted samples weigh, B how much they truly vary.

    Parameters
    ----------
    information, varying : ndarray, shape (N, 5, 5)
        From :class:`~dicomnode.science.fit.levenberg_marquardt.PixelFits` and
        :class:`~dicomnode.science.fit.levenberg_marquardt.Residuals`.
    scatter : ndarray, shape (N,)
        Dispersion of each pixel.
    precision : ndarray, shape (5, 5)
        Of the prior.
    """
    found = np.empty(information.shape)
    _sandwich(information, varying, scatter, precision, found)
    return found


@compiled
def _sandwich(information, varying, scatter, precision, out):  # type: ignore[no-untyped-def]
    """As :func:`covariance`, one pixel after the other; by Cholesky, the diagonal inverted."""
    factor, inverse, left = np.empty((SIZE, SIZE)), np.empty((SIZE, SIZE)), np.empty((SIZE, SIZE))
    for n in range(information.shape[0]):
        share = 1 / scatter[n]
        for i in range(SIZE):
            for j in range(i + 1):
                whole = information[n, i, j] * share + precision[i, j]
                value = whole
                for k in range(j):
                    value -= factor[i, k] * factor[j, k]
                factor[i, j] = (
                    1 / math.sqrt(max(value, _LEAST_PIVOT * whole))
                    if i == j
                    else value * factor[j, j]
                )
        for c in range(SIZE):
            for i in range(SIZE):
                value = 1.0 if i == c else 0.0
                for k in range(i):
                    value -= factor[i, k] * inverse[k, c]
                inverse[i, c] = value * factor[i, i]
            for i in range(SIZE - 1, -1, -1):
                value = inverse[i, c]
                for k in range(i + 1, SIZE):
                    value -= factor[k, i] * inverse[k, c]
                inverse[i, c] = value * factor[i, i]
        for i in range(SIZE):
            for j in range(SIZE):
                value = 0.0
                for k in range(SIZE):
                    value += inverse[i, k] * (varying[n, k, j] * share + precision[k, j])
                left[i, j] = value
        for i in range(SIZE):
            for j in range(i + 1):
                value = 0.0
                for k in range(SIZE):
                    value += left[i, k] * inverse[k, j]
                out[n, i, j] = value
                out[n, j, i] = value
