"""Start of the fit: the region's mean curve, then a dictionary of curves per pixel."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import vectorised
from dicomnode.science.fit.levenberg_marquardt import Samples, levenberg_marquardt
from dicomnode.science.fit.model import SIZE, Problem, nothing_again
from dicomnode.science.kinetics.shapes import LOGNORMAL

__all__ = ["Dictionary", "region_curve"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_REGION_SPREAD = np.array([10.0, 1.5, 1.0, 10.0, 3.0])
"""Standard deviations of the prior on the region's mean curve."""
_TYPICAL_LOG_CURVATURE = 0.7
_REGION_GRID = (24, np.log([1.0, 2.0, 4.0, 6.0, 9.0, 14.0, 20.0, 30.0, 50.0]), (6.0, 2.8, 1.4, 0.7))
"""Arrivals tried, ln of times to peak (s) and curvatures of the region's first guess."""
_REGION_WEIGHT = 100.0
"""Pixels' worth of samples that the mean curve counts for against the prior."""
_OFFSETS_LOG_TP = np.linspace(-1.05, 1.05, 12)
_OFFSETS_LOG_CURVATURE = np.linspace(-1.0, 1.4, 6)
_OFFSETS_T0_S = (-2.5, -0.5, 1.5, 3.5)
"""The 288 atoms, around the region's curve."""
_RANK = 16
_FEWEST_COUNTED = np.float32(0.2)
"""Where more of a bin's samples are saturated than all but this share, so many are assumed not to
be: the power of a bin without any other sample has no upper end."""
_LEAST_COUNT = 1e-4
"""Bins with a smaller share of the fullest bin's samples have no say in the first guess."""
_FAINTEST = 1e-4
"""A first guess of a pixel's peak is at least this share of the region's."""
_TINY = 1e-30


def _unit_curves(times: Floats, atoms: Floats) -> Floats:
    """Lognormals of unit peak, shape (M, K), of (M, 3) ln tp, ln s, t0."""
    since = times - atoms[:, 2:3]
    u = np.log(np.maximum(since, 1e-3)) - atoms[:, :1]
    return np.where(since > 0, np.exp(-0.5 * np.exp(atoms[:, 1:2]) * u * u), 0.0)


def _first_guess(times: Floats, mean: Floats) -> Floats:
    """Best of a coarse grid of lognormals on a constant, by least squares."""
    arrivals, log_tps, curvatures = _REGION_GRID
    latest = times[int(np.argmax(mean))]
    first = times[0] - 0.1 * (times[-1] - times[0])
    grid = itertools.product(log_tps, np.log(curvatures), np.linspace(first, latest, arrivals))
    atoms = np.array(list(grid))
    unit = _unit_curves(times, atoms)
    centred = unit - unit.mean(axis=1, keepdims=True)
    norm = np.maximum((centred**2).sum(axis=1), _TINY)
    gain = centred @ (mean - mean.mean()) / norm
    best = int(np.argmax(np.where(gain > 0, gain * gain * norm, -1)))
    level = max(float(mean.mean()), _TINY)
    peak = max(float(gain[best]), _FAINTEST * level)
    base = max(level - peak * float(unit[best].mean()), float(mean.min()), _FAINTEST * level)
    return np.array([np.log(peak), *atoms[best], np.log(base)])


def region_curve(times: Floats, total: Floats, count: Floats, lift: float) -> Floats:
    """Fit a lognormal, without recirculation, to a region's mean curve.

    Parameters
    ----------
    times : ndarray, shape (K,)
    total, count : ndarray, shape (K,)
        Mean over all pixels; some power must be above 0.
    lift : float
        As in :class:`~dicomnode.science.fit.levenberg_marquardt.Samples`, as a share of the peak.

    Returns
    -------
    ndarray, shape (5,)
        ln PE, ln tp, ln s, t0, ln B.
    """
    used = count > _LEAST_COUNT * count.max()
    mean = total[used] / count[used]
    start = _first_guess(times[used], mean)
    centre = start.copy()
    centre[2] = _TYPICAL_LOG_CURVATURE
    problem = Problem(
        times_s=times,
        again=nothing_again(times),
        family=LOGNORMAL,
        centre=centre,
        precision=np.diag(_REGION_SPREAD**-2.0),
    )
    samples = Samples(
        total=np.asarray(_REGION_WEIGHT * total[None], np.float32),
        count=np.asarray(_REGION_WEIGHT * count[None], np.float32),
        lift=np.array([lift * mean.max()], np.float32),
    )
    return np.asarray(levenberg_marquardt(start[None], problem, samples, 60).theta[0])


class Dictionary:
    """288 curves around the region's, of which each pixel begins with the one most like it.

    Likeness is the correlation of root power, which evens out speckle, in a basis of 16 curves.

    Parameters
    ----------
    times : ndarray, shape (K,)
        Seconds.
    region : ndarray, shape (5,)
        From :func:`region_curve`.
    """

    def __init__(self, times: Floats, region: Floats) -> None:
        offsets = itertools.product(_OFFSETS_LOG_TP, _OFFSETS_LOG_CURVATURE, _OFFSETS_T0_S)
        self._atoms = region[1:4] + np.array(list(offsets))
        self._region = region
        self._unit = _unit_curves(times, self._atoms).astype(np.float32)
        self._norm = np.maximum((self._unit**2).sum(axis=1), _TINY)
        root = np.sqrt(self._unit)
        root /= np.maximum(np.linalg.norm(root, axis=1, keepdims=True), _TINY)
        basis = np.linalg.eigh(root.T @ root)[1][:, : -_RANK - 1 : -1].T
        self._basis, self._codes = np.ascontiguousarray(basis.T), basis @ root.T

    def start(self, total: Singles, count: Singles) -> Floats:
        """First guess (N, 5) of pixels with power sums (N, K) and counts (N, K) or (1, K).

        Bins beyond the K of ``times`` are left out.
        """
        power, root = _enhancement(total, count, len(self._basis), np.exp(self._region[4]))
        best = np.argmax((root @ self._basis) @ self._codes, axis=1)
        start = np.empty((len(total), SIZE))
        least = _FAINTEST * np.exp(self._region[0])
        peak = np.einsum("nk,nk->n", power, self._unit[best]) / self._norm[best]
        start[:, 0] = np.log(np.maximum(peak, least))
        start[:, 1:4] = self._atoms[best]
        start[:, 4] = self._region[4]
        return start


def _enhancement(total: Singles, count: Singles, bins: int, base: float) -> tuple[Singles, Singles]:
    """Mean power above the base in each of the first bins, and its root; both (N, bins)."""
    fewest = np.maximum(_FEWEST_COUNTED * count.max(axis=0), np.float32(1e-9))
    power, root = (np.empty((len(total), bins), np.float32) for _ in range(2))
    _enhance(total, count, fewest, np.float32(base), power, root)
    return power, root


@vectorised
def _enhance(total, count, fewest, base, power, root):  # type: ignore[no-untyped-def]
    for n in range(power.shape[0]):
        row, shared = np.uint64(n), np.uint64(min(n, count.shape[0] - 1))
        for each in range(power.shape[1]):
            k = np.uint64(each)
            mean = total[row, k] / max(count[shared, k], fewest[k])
            above = max(mean - base, np.float32(0))
            power[row, k], root[row, k] = above, math.sqrt(above)
