"""Family of curves that an exam follows, and the share of the agent that comes round again.

Both belong to the patient, the injection and the agent, not to a pixel: they are chosen once, on a
sample of pixels, by deviance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from dicomnode.science.compiled import in_parallel
from dicomnode.science.fit.levenberg_marquardt import (
    STEPS,
    Samples,
    levenberg_marquardt,
    residual_diagnostics,
)
from dicomnode.science.fit.model import Problem, Recirculated
from dicomnode.science.kinetics.shapes import FAMILIES, LOGNORMAL, Family

__all__ = ["Choice", "Recirculation", "choose", "no_recirculation"]

Floats = NDArray[np.float64]

_GRID_S = 0.2
_STEP = 0.01
"""Of the differences that stand for derivatives in ln tp, ln s and t0."""
_LADDERS: Mapping[str, Sequence[float]] = {
    "fraction": (0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.32, 0.4, 0.5, 0.65),
    "delay_s": (3.0, 5.0, 7.0, 9.0, 11.5, 14.0, 17.0, 20.0, 25.0, 30.0),
    "spread_s": (4.0, 7.0, 11.0, 16.0, 23.0, 32.0, 48.0, 75.0, 130.0),
}
"""Values between which the search goes up and down."""
_BEGINNINGS = tuple(product((0.12, 0.3), (7.0, 14.0, 25.0), (7.0, 23.0, 75.0)))
"""Fraction, delay and spread from the best of which the search sets out."""
_PURSUED = 3
"""Beginnings from which the search goes on."""
_ROUNDS = 3
_CONVINCING = 10.0
"""Fall of the deviance, over the dispersion, that recirculation must bring."""
_FEWEST_PIXELS = 5
"""Fewer curves are fitted with a lognormal: what they differ by may be chance."""
_SIGNIFICANT = 1.0
"""Standard errors by which another family than the lognormal must be better."""
_COARSE_STEPS, _SEARCH_STEPS = 4, 8
"""Evaluations per pixel and candidate: each begins where the best so far ended."""
_SEARCHED = 256
"""Pixels of the probe that the search looks at; all of it decides between the families."""


@dataclass(frozen=True, kw_only=True)
class Recirculation:
    """What comes round again: a part of the first pass, delayed and dispersed by the body.

    The first pass is convolved with an exponential of mean ``spread_s`` that begins ``delay_s``
    later and holds ``fraction`` of its area (of a lognormal's of that peak and curvature).
    """

    fraction: float
    delay_s: float
    spread_s: float
    family: Family
    tp_s: float
    curvature: float
    t0_s: float
    """Of the region's first pass."""

    def of(self, times_s: Floats) -> Recirculated:
        """What comes round at ``times_s`` (K,), with its derivatives."""
        around = np.array([np.log(self.tp_s), np.log(self.curvature), self.t0_s])
        here, *beside = self._per_second(times_s, around + _STEP * np.eye(4, 3, -1))
        slopes = [(curve - here) / _STEP for curve in beside]
        return Recirculated(around=around, curves=np.stack([here, *slopes]))

    def _per_second(self, times_s: Floats, first_passes: Floats) -> Floats:
        """Echo power (M, K) for first passes of unit area with (M, 3) ln tp, ln s and t0."""
        log_tp, log_curvature, t0_s = first_passes.T[:, :, None]
        since = np.asarray(times_s, np.float64) - t0_s - self.delay_s
        grid = np.arange(_GRID_S, max(float(since.max()), 0.0) + 2 * _GRID_S, _GRID_S)
        curvature = np.exp(log_curvature)
        unit = np.exp(self.family.log_height(np.log(grid) - log_tp, curvature))
        unit *= self.fraction / (np.exp(log_tp) * self.family.area(curvature))
        kept = np.exp(-_GRID_S / max(self.spread_s, _GRID_S))
        dispersed = lfilter([1 - kept], [1, -kept], unit)
        return np.stack(
            [np.interp(x, grid, y, left=0.0) for x, y in zip(since, dispersed, strict=True)]
        )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The family and the recirculation that an exam's pixels follow best.

    Attributes
    ----------
    family : Family
    recirculation : Recirculation
    theta : ndarray, shape (P, 5)
        The probe's pixels, fitted.
    deviances : mapping of name to float
        Of every family, less that of the chosen one, in units of the dispersion. The lognormal is
        taken where no other is significantly better.
    """

    family: Family
    recirculation: Recirculation
    theta: Floats
    deviances: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tried:
    recirculation: Recirculation
    theta: Floats
    pixels: Floats
    """Objective of each pixel."""

    @property
    def objective(self) -> float:
        return float(self.pixels.sum())


def choose(start: Floats, problem: Problem, samples: Samples) -> Choice:
    """Fit the probe with every family, with and without recirculation; take the best.

    Parameters
    ----------
    start : ndarray, shape (P, 5)
    problem : Problem
        Lognormal, without recirculation; its centre is the region's curve, its prior all but
        flat: a prior that pulls on one family more than on another would choose between them.
    samples : Samples
        Of the probe's P pixels.
    """
    few = slice(0, None, -(-len(start) // _SEARCHED))
    usual = _lognormal(start, problem, samples, few)
    others = [family for family in FAMILIES.values() if family is not LOGNORMAL]
    found = in_parallel(lambda family: _other(family, usual, problem, samples, few), others)
    found.insert(0, usual)
    falls = [_fall(usual, tried) for tried in found]
    best = found[int(np.argmax(falls))]
    scatter = _scatter(best, problem, samples)
    return Choice(
        family=best.recirculation.family,
        recirculation=best.recirculation,
        theta=best.theta,
        deviances={
            name: (max(falls) - fall) / scatter for name, fall in zip(FAMILIES, falls, strict=True)
        },
    )


def _fall(usual: _Tried, tried: _Tried) -> float:
    """Fall of the deviance from one fit of the same pixels to another; 0 where it may be chance.

    Vuong's test of models of which neither holds the other (Econometrica 1989;57:307), on the
    pixels' differences without the largest twentieth to either side: a pixel that ended in a
    side valley decides nothing.
    """
    falls = np.sort(2 * (usual.pixels - tried.pixels))
    if len(falls) < _FEWEST_PIXELS:
        return min(float(falls.sum()), 0.0)
    cut = len(falls) // 20
    falls = falls[cut : len(falls) - cut]
    chance = float(np.std(falls)) * np.sqrt(len(falls))
    total = float(falls.sum())
    return total if total < 0 or total > _SIGNIFICANT * chance else 0.0


def no_recirculation(family: Family, curve: Floats) -> Recirculation:
    """Nothing comes round, in a region whose first pass is ``curve`` (5,)."""
    return Recirculation(
        fraction=0.0, delay_s=0.0, spread_s=0.0, family=family,
        tp_s=float(np.exp(curve[1])), t0_s=float(curve[3]),
        curvature=float(np.clip(np.exp(curve[2]), family.least, family.most)),
    )  # fmt: skip


def _part(samples: Samples, which: slice) -> Samples:
    return Samples(
        total=samples.total[which],
        count=samples.count if len(samples.count) == 1 else samples.count[which],
        lift=samples.lift[which],
    )


def _lognormal(start: Floats, problem: Problem, samples: Samples, few: slice) -> _Tried:
    """The lognormal, with the best recirculation that is found from a few beginnings."""
    none = no_recirculation(LOGNORMAL, problem.centre)
    plain = _try(start, problem, samples, none, STEPS)
    theta, part = plain.theta[few], _part(samples, few)
    began = in_parallel(
        lambda begin: _try(theta, problem, part, begin, _COARSE_STEPS),
        [
            replace(_like(plain), fraction=fraction, delay_s=delay_s, spread_s=spread_s)
            for fraction, delay_s, spread_s in _BEGINNINGS
        ],
    )
    without = float(plain.pixels[few].sum()) - _CONVINCING / 2
    better = sorted(
        (tried for tried in began if tried.objective < without), key=lambda tried: tried.objective
    )
    if not better:
        return plain
    ended = in_parallel(lambda tried: _searched(tried, problem, part), better[:_PURSUED])
    found = min(ended, key=lambda tried: tried.objective)
    return _convincing(plain, found.recirculation, problem, samples)


def _other(family: Family, usual: _Tried, problem: Problem, samples: Samples, few: slice) -> _Tried:
    """Another family, beginning where the lognormal ended."""
    plain = _try(usual.theta, problem, samples, no_recirculation(family, problem.centre), STEPS)
    if not usual.recirculation.fraction:
        return plain
    began = replace(usual.recirculation, family=family, curvature=_like(plain).curvature)
    part = _part(samples, few)
    found = _searched(_try(usual.theta[few], problem, part, began, STEPS), problem, part)
    return _convincing(plain, found.recirculation, problem, samples)


def _searched(best: _Tried, problem: Problem, samples: Samples) -> _Tried:
    """Go up and down the ladders in turn until nothing is gained."""
    for _ in range(_ROUNDS):
        best = _try(best.theta, problem, samples, _like(best))
        before = best.objective
        for name in _LADDERS:
            best = _walked(best, name, problem, samples)
        if before - best.objective < _CONVINCING / 10:
            break
    return best


def _convincing(
    plain: _Tried, recirculation: Recirculation, problem: Problem, samples: Samples
) -> _Tried:
    """The fit with recirculation if it is better by enough, else that without."""
    tried = _try(plain.theta, problem, samples, recirculation, STEPS)
    fall = 2 * (plain.objective - tried.objective) / _scatter(tried, problem, samples)
    return tried if fall > _CONVINCING else plain


def _walked(best: _Tried, name: str, problem: Problem, samples: Samples) -> _Tried:
    """Go up a ladder or down as long as that is better."""
    ladder = _LADDERS[name]
    for direction in (1, -1):
        here = int(np.argmin(np.abs(np.log(ladder) - np.log(getattr(best.recirculation, name)))))
        ahead = ladder[here + 1 :] if direction > 0 else ladder[:here][::-1]
        for value in ahead:
            candidate = replace(best.recirculation, **{name: value})  # type: ignore[arg-type]
            tried = _try(best.theta, problem, samples, candidate)
            if tried.objective >= best.objective:
                break
            best = tried
        if getattr(best.recirculation, name) != ladder[here]:
            break
    return best


def _like(tried: _Tried) -> Recirculation:
    """The recirculation tried, of a first pass like that of the pixels it was tried on."""
    _, log_tp, log_curvature, t0_s, _ = np.median(tried.theta, axis=0)
    return replace(
        tried.recirculation,
        tp_s=float(np.exp(log_tp)),
        curvature=float(np.exp(log_curvature)),
        t0_s=float(t0_s),
    )


def _with(problem: Problem, recirculation: Recirculation) -> Problem:
    return replace(
        problem,
        family=recirculation.family,
        again=recirculation.of(problem.times_s),
    )


def _try(
    start: Floats, problem: Problem, samples: Samples, recirculation: Recirculation,
    steps: int = _SEARCH_STEPS,
) -> _Tried:  # fmt: skip
    fits = levenberg_marquardt(start, _with(problem, recirculation), samples, steps)
    return _Tried(recirculation=recirculation, theta=fits.theta, pixels=fits.objective)


def _scatter(tried: _Tried, problem: Problem, samples: Samples) -> float:
    residuals = residual_diagnostics(tried.theta, _with(problem, tried.recirculation), samples)
    return max(float(np.median(residuals.scatter)), 1e-9)
