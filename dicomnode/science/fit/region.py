"""Fit the pixels of a region: what they share is chosen on a few of them, then all are fitted."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import aligned, in_parallel
from dicomnode.science.curves import Binned
from dicomnode.science.fit.levenberg_marquardt import (
    Samples,
    levenberg_marquardt,
    residual_diagnostics,
)
from dicomnode.science.fit.model import SIZE, Problem, nothing_again
from dicomnode.science.fit.prior import flat_prior, learn_prior
from dicomnode.science.fit.recirculation import Choice, Recirculation, choose
from dicomnode.science.fit.start import Dictionary, region_curve
from dicomnode.science.kinetics.shapes import LOGNORMAL, Family

__all__ = ["TOLERATED", "Fitted", "Region", "blocks"]

Floats = NDArray[np.float64]

TOLERATED = 0.02
"""Share of a pixel's peak below which a misfit does not count."""
_PROBE = 1024
"""Pixels that decide on family, recirculation and arrival."""
_RANKED = 16
"""Pixels ranked by brightness for each one of the probe."""
_TOGETHER = 2048
"""Pixels handled together: what they need stays in the cache."""
_LANES = 16
"""Bins are padded to a multiple of this, the numbers that a core handles at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """The pixels of a region after the fit.

    Power is in units of the region's mean, seconds count from the first bin.

    Attributes
    ----------
    choice : Choice
    precision : ndarray, shape (5, 5)
        Of the prior.
    theta : ndarray, shape (N, 5)
    evaluations : ndarray of int64, shape (N,)
    scatter : ndarray, shape (N,)
    information, varying : ndarray of float32, shape (N, 5, 5)
        As in :mod:`dicomnode.science.fit.levenberg_marquardt`.
    failed : ndarray of bool, shape (N,)
        Pixels with fewer bins below the top of the grey scale than a curve has parameters;
        theirs is the region's curve.
    """

    choice: Choice
    precision: Floats
    theta: Floats
    evaluations: NDArray[np.int64]
    scatter: Floats
    information: NDArray[np.float32]
    varying: NDArray[np.float32]
    failed: NDArray[np.bool_]


def blocks(pixels: int) -> list[slice]:
    """Pixels in runs that are handled together."""
    return [slice(first, first + _TOGETHER) for first in range(0, pixels, _TOGETHER)]


class Region:
    """Binned samples of N pixels that share a family, a recirculation and a prior.

    Parameters
    ----------
    binned : Binned
    mean : Binned
        Of all pixels; some power must be above 0.
    looks : float
        Weight of one sample against the prior.

    Attributes
    ----------
    level : float
        Mean power of all samples; everything here is in units of it.
    """

    def __init__(self, binned: Binned, mean: Binned, looks: float) -> None:
        self.level = float(mean.total.sum() / mean.count.sum())
        self._binned, self._looks = binned, looks
        self._bins, self._pixels = binned.total.shape
        clock_s = binned.times_s - binned.times_s[0]
        times = np.pad(clock_s, (0, -self._bins % _LANES), mode="edge")
        total, count = (np.asarray(each[:, 0], np.float64) for each in (mean.total, mean.count))
        centre = region_curve(clock_s, total * looks / self.level, count * looks, TOLERATED)
        self._dictionary = Dictionary(clock_s, centre)
        self._problem = Problem(
            times_s=times,
            again=nothing_again(times),
            family=LOGNORMAL,
            centre=centre,
            precision=flat_prior(),
        )

    def fit(self, given: tuple[Family, Recirculation] | None = None) -> Fitted:
        """Choose on a probe what is shared, unless it is given, then fit everything."""
        choice, problem = self._choose(given)
        fitted = Fitted(
            choice=choice,
            precision=problem.precision,
            theta=np.empty((self._pixels, SIZE)),
            evaluations=np.empty(self._pixels, np.int64),
            scatter=np.empty(self._pixels),
            information=np.empty((self._pixels, SIZE, SIZE), np.float32),
            varying=np.empty((self._pixels, SIZE, SIZE), np.float32),
            failed=np.empty(self._pixels, np.bool_),
        )
        in_parallel(lambda some: self._fit_some(problem, some, fitted), blocks(self._pixels))
        fitted.theta[fitted.failed] = problem.centre
        return fitted

    def _choose(self, given: tuple[Family, Recirculation] | None) -> tuple[Choice, Problem]:
        """What the pixels of a probe say about all pixels."""
        samples, start = self._begin(self._probe())
        if given is None:
            choice = choose(start, self._problem, samples)
        else:
            family, recirculation = given
            choice = Choice(family=family, recirculation=recirculation, theta=start, deviances={})
        problem = replace(
            self._problem,
            family=choice.family,
            again=choice.recirculation.of(self._problem.times_s),
        )
        fits = levenberg_marquardt(choice.theta, problem, samples)
        residuals = residual_diagnostics(fits.theta, problem, samples)
        centre, precision = learn_prior(fits, residuals, problem.centre)
        return choice, replace(problem, centre=centre, precision=precision)

    def _probe(self) -> NDArray[np.int64]:
        """Pixels at evenly spaced ranks of the brighter half; of many pixels, of a part of them."""
        step = max(self._pixels // (_RANKED * _PROBE), 1)
        order = step * np.argsort(self._binned.total[:, ::step].sum(axis=0))
        brighter = order[order.size // 2 :]
        chosen = np.linspace(0, brighter.size - 1, min(_PROBE, brighter.size)).astype(np.int64)
        return np.asarray(brighter[chosen])

    def _begin(self, which: NDArray[np.int64] | slice) -> tuple[Samples, Floats]:
        """Samples of some pixels, padded, and where their fit begins."""
        binned = self._binned.of(which)
        total = self._padded(binned.total, self._looks / self.level)
        count = self._padded(binned.count, self._looks)
        start = self._dictionary.start(total, count)
        lift = np.asarray(TOLERATED * np.exp(start[:, 0]), np.float32)
        return Samples(total=total, count=count, lift=lift), start

    def _padded(self, sums: NDArray[np.floating], scale: float) -> NDArray[np.float32]:
        """One pixel after the other (n, K), K a multiple of the lanes."""
        padded: NDArray[np.float32] = aligned(sums.shape[1], len(self._problem.times_s))
        padded[:, self._bins :] = 0
        np.multiply(sums.T, np.float32(scale), out=padded[:, : self._bins], casting="same_kind")
        return padded

    def _fit_some(self, problem: Problem, some: slice, fitted: Fitted) -> None:
        samples, start = self._begin(some)
        fits = levenberg_marquardt(start, problem, samples)
        residuals = residual_diagnostics(fits.theta, problem, samples)
        fitted.theta[some], fitted.evaluations[some] = fits.theta, fits.evaluations
        fitted.information[some] = fits.information
        fitted.scatter[some], fitted.varying[some] = residuals.scatter, residuals.varying
        fitted.failed[some] = residuals.used < SIZE
