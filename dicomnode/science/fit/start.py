"""Where the fit begins: the region's mean curve, then a dictionary of lognormals per pixel."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.fit.kernel import SIZE, maximise
from dicomnode.science.kinetics import lognormal

__all__ = ["dictionary_start", "region_curve"]

Floats = NDArray[np.float64]

_TYPICAL_SIGMA = 0.7
_REGION_SPREAD = np.array([10.0, 1.5, 0.5, 10.0, 3.0])
"""Standard deviations of the prior on the region's mean curve."""
_REGION_GRID = (24, (-0.7, 0.0, 0.7, 1.4, 2.0, 2.6, 3.2, 3.8, 4.4), (0.4, 0.6, 0.85, 1.2))
"""Arrivals tried, medians (ln s) and σ of the region's first guess."""
_OFFSETS_MU = np.linspace(-1.05, 1.05, 15)
_OFFSETS_LOG_SIGMA = np.linspace(-0.7, 0.5, 10)
_OFFSETS_T0_S = (-3.0, -1.5, 0.0, 1.5, 3.0, 5.0)
"""The 900 atoms, around the region's curve."""
_RANK = 16
_ROWS = 2048
"""Pixels matched together: bounds the memory."""
_FAINTEST = 1e-4
"""A first guess of a pixel's gain is at least this share of the region's."""


def _first_guess(times: Floats, mean: Floats) -> Floats:
    """Best of a coarse grid of lognormals on a constant, by least squares."""
    arrivals, medians, sigmas = _REGION_GRID
    latest = times[int(np.argmax(mean))]
    first = times[0] - 0.1 * (times[-1] - times[0])
    grid = np.array(list(itertools.product(np.linspace(first, latest, arrivals), medians, sigmas)))
    atoms = lognormal(times, 1.0, grid[:, 1:2], grid[:, 2:3], grid[:, :1])
    centred = atoms - atoms.mean(axis=1, keepdims=True)
    norm = np.maximum((centred**2).sum(axis=1), 1e-30)
    gain = centred @ (mean - mean.mean()) / norm
    best = int(np.argmax(np.where(gain > 0, gain * gain * norm, -1)))
    level = float(mean.mean())
    area = max(float(gain[best]), _FAINTEST * level)
    base = max(level - area * float(atoms[best].mean()), float(mean.min()), _FAINTEST * level)
    t0, mu, sigma = grid[best]
    return np.array([math.log(area), mu, math.log(sigma), t0, math.log(base)])


def region_curve(times: Floats, total: Floats, count: Floats, steps: int = 60) -> Floats:
    """Fit the region's mean curve, with no recirculation.

    Parameters
    ----------
    times : ndarray, shape (K,)
    total, count : ndarray, shape (K,)
        Power sum and sample count over all pixels; some power must be above 0.

    Returns
    -------
    ndarray, shape (5,)
        ln A, μ, ln σ, t0, ln B.
    """
    mean = total / np.maximum(count, 1e-9)
    start = _first_guess(times, mean)
    prior = start.copy()
    prior[2] = math.log(_TYPICAL_SIGMA)
    theta, _, _ = maximise(
        start[None], times, np.zeros_like(times), total[None], count[None], prior,
        _REGION_SPREAD**-2.0, steps,
    )  # fmt: skip
    return np.asarray(theta[0])


def _atoms(region: Floats) -> Floats:
    """(900, 3): μ, ln σ, t0 around the region's curve."""
    offsets = np.array(list(itertools.product(_OFFSETS_MU, _OFFSETS_LOG_SIGMA, _OFFSETS_T0_S)))
    atoms = region[1:4] + offsets
    # the peak stays where μ and t0 put it: a wider curve is not also an earlier one
    atoms[:, 0] += np.exp(2 * atoms[:, 1]) - np.exp(2 * region[2])
    return np.asarray(atoms)


def dictionary_start(
    times: Floats, extra: Floats, total: Floats, count: Floats, region: Floats
) -> Floats:
    """Best atom of each pixel by correlation of root power, which evens out speckle.

    Parameters
    ----------
    times, extra : ndarray, shape (K,)
        Seconds; recirculation per unit area.
    total, count : ndarray, shape (N, K)
        Power sum and sample count.
    region : ndarray, shape (5,)
        From :func:`region_curve`.

    Returns
    -------
    ndarray, shape (N, 5)
    """
    atoms = _atoms(region)
    unit = lognormal(times, 1.0, atoms[:, :1], np.exp(atoms[:, 1:2]), atoms[:, 2:3]) + extra
    base = math.exp(region[4])
    root = np.sqrt(unit)
    root /= np.maximum(np.linalg.norm(root, axis=1, keepdims=True), 1e-30)
    _, _, basis = np.linalg.svd(root, full_matrices=False)
    basis = basis[:_RANK]
    start = np.empty((total.shape[0], SIZE))
    for first in range(0, total.shape[0], _ROWS):
        rows = slice(first, first + _ROWS)
        power = np.maximum(total[rows] / np.maximum(count[rows], 1e-9) - base, 0)
        best = np.argmax((np.sqrt(power) @ basis.T) @ (root @ basis.T).T, axis=1)
        chosen = unit[best]
        area = (power * chosen).sum(axis=1) / np.maximum((chosen**2).sum(axis=1), 1e-30)
        start[rows, 0] = np.log(np.maximum(area, _FAINTEST * math.exp(region[0])))
        start[rows, 1:4] = atoms[best]
    start[:, 4] = region[4]
    return start
