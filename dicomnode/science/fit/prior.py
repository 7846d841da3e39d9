"""The prior of a pixel's curve: its region, before its samples are looked at.

Arrival differs less between the pixels of a region than speckle lets a single pixel say, and what
is not known of arrival is not known of time to peak either. How much it differs is measured: middle
and spread of the true arrivals are estimated from a sample of fitted pixels and their error bars
(empirical Bayes, by expectation-maximisation). Peak, transit and curvature are each pixel's own:
drawing them towards the region's would blur the borders of what the region is divided into.
"""

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.fit.levenberg_marquardt import PixelFits, Residuals

__all__ = ["SPREAD", "flat_prior", "learn_prior"]

Floats = NDArray[np.float64]

SPREAD = np.array([4.0, 1.0, 1.0, 2.0, 1.5])
"""Standard deviations of the prior around the region: ln PE, ln tp, ln s, t0 / s, ln B."""
_ARRIVAL = 3
_NARROWEST_S = 0.3
"""Least standard deviation of the arrival; that of the table above is the most."""
_FEWEST_PIXELS = 30
_ROUNDS = 50


def flat_prior() -> Floats:
    """Precision (5, 5) that keeps a fit from running away and has no other say."""
    return np.diag((10 * SPREAD) ** -2.0)


def learn_prior(fits: PixelFits, residuals: Residuals, centre: Floats) -> tuple[Floats, Floats]:
    """Centre (5,) and precision (5, 5) for a region's pixels, the arrival's from a sample of them.

    Parameters
    ----------
    fits : PixelFits
        The sample, fitted with the flat prior.
    residuals : Residuals
        Of the same pixels.
    centre : ndarray, shape (5,)
        Of the flat prior.
    """
    centre, spread = centre.copy(), SPREAD.copy()
    if len(fits.theta) >= _FEWEST_PIXELS:
        inverse = np.linalg.inv(fits.information + flat_prior())
        error = (inverse @ residuals.varying @ inverse)[:, _ARRIVAL, _ARRIVAL] * residuals.scatter
        centre[_ARRIVAL], spread_s = _arrivals(fits.theta[:, _ARRIVAL], error)
        spread[_ARRIVAL] = np.clip(spread_s, _NARROWEST_S, SPREAD[_ARRIVAL])
    return centre, np.diag(spread**-2.0)


def _arrivals(found_s: Floats, variance: Floats) -> tuple[float, float]:
    """Middle and standard deviation of true arrivals that were found with errors, both (P,).

    The middle is that of all alike: late arrivals are known better than early ones.
    """
    middle, spread = float(np.median(found_s)), max(float(np.var(found_s)), _NARROWEST_S**2)
    for _ in range(_ROUNDS):
        gain = spread / (spread + variance)
        likely = gain * (found_s - middle)
        spread = max(float(np.mean((1 - gain) * spread + likely**2)), _NARROWEST_S**2)
    return middle, float(np.sqrt(spread))
