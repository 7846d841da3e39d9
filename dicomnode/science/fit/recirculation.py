"""Which family of curves an exam follows, and what of the agent comes round again.

Both belong to the patient, the injection and the agent, not to a pixel: they are chosen once, on a
sample of pixels, by deviance.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import in_parallel
from dicomnode.science.fit.climb import Samples, climb, judge
from dicomnode.science.fit.model import Problem, accumulate
from dicomnode.science.shapes import FAMILIES, Family

__all__ = ["Choice", "Recirculation", "choose"]

Floats = NDArray[np.float64]

_SHARES = (0.1, 0.2, 0.35, 0.5)
"""Shares tried; no more than half, for a slow wash-out can pass for recirculation."""
_DELAYS_S = (10.0, 18.0, 28.0)
_DECAY_S = 180.0
_SHAPES = ((_DECAY_S, 1.0), (0.0, 1.5), (0.0, 3.0))
"""Decay of a pool, or slowness of a second pass."""
_CONVINCING = 10.0
"""Fall of the deviance, over the dispersion, that recirculation must bring."""
_SEARCH_STEPS = 8
"""Evaluations per pixel and candidate: each begins where the one before it ended."""


@dataclass(frozen=True, kw_only=True)
class Recirculation:
    """What comes round again, per unit area of a pixel's first pass; shared by the region.

    Either a second pass, delayed and slower than the first, or agent so well mixed by then that it
    fills a pool that decays.
    """

    fraction: float
    delay_s: float
    decay_s: float
    """Decay of a well-mixed pool; 0 where a second pass is seen instead."""
    slowness: float
    """How many times slower than the first pass the second one is."""
    family: Family
    tp_s: float
    curvature: float
    t0_s: float
    """Of the region's first pass."""

    def per_second(self, times_s: Floats) -> Floats:
        """Echo power at ``times_s`` for a first pass of area 1."""
        since = np.asarray(times_s, np.float64) - self.t0_s - self.delay_s
        arrived = since > 0
        curvature = np.float64(self.curvature)
        y = np.where(arrived, since, 1.0) / (self.tp_s * self.slowness)
        if self.decay_s:
            curve = self.family.share(curvature, y) * np.exp(-since / self.decay_s) / self.decay_s
        else:
            area = self.tp_s * self.slowness * self.family.area(curvature)
            curve = np.exp(self.family.log_height(np.log(y), curvature)) / area
        return np.where(arrived, self.fraction * curve, 0.0)


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
        Of every family, above that of the chosen one, in units of the dispersion.
    """

    family: Family
    recirculation: Recirculation
    theta: Floats
    deviances: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tried:
    family: Family
    recirculation: Recirculation
    theta: Floats
    objective: float


def choose(start: Floats, problem: Problem, samples: Samples) -> Choice:
    """Fit the probe with every family, with and without recirculation; take the best.

    Parameters
    ----------
    start : ndarray, shape (P, 5)
    problem : Problem
        Lognormal, without recirculation; its centre is the region's curve.
    samples : Samples
        Of the probe's P pixels.
    """
    found = in_parallel(
        lambda family: _best(start, problem, samples, family), list(FAMILIES.values())
    )
    best = min(found, key=lambda tried: tried.objective)
    scatter = _scatter(best, problem, samples)
    return Choice(
        family=best.family,
        recirculation=best.recirculation,
        theta=best.theta,
        deviances={
            tried.family.name: 2 * (tried.objective - best.objective) / scatter for tried in found
        },
    )


def _best(start: Floats, problem: Problem, samples: Samples, family: Family) -> _Tried:
    """Best recirculation for a family: coarse over its shapes, then finer around the best."""
    none = Recirculation(
        fraction=0.0, delay_s=0.0, decay_s=_DECAY_S, slowness=1.0, family=family,
        tp_s=float(np.exp(problem.centre[1])),
        curvature=float(np.clip(np.exp(problem.centre[2]), family.least, family.most)),
        t0_s=float(problem.centre[3]),
    )  # fmt: skip
    plain = _try(start, problem, samples, none)
    coarse = [
        replace(none, fraction=_SHARES[1], delay_s=_DELAYS_S[1], decay_s=decay_s, slowness=slowness)
        for decay_s, slowness in _SHAPES
    ]
    best = _first_of(plain, coarse, problem, samples)
    for _ in range(2):
        best = _first_of(best, _varied(best.recirculation, "fraction", _SHARES), problem, samples)
        best = _first_of(best, _varied(best.recirculation, "delay_s", _DELAYS_S), problem, samples)
    fall = 2 * (plain.objective - best.objective) / _scatter(best, problem, samples)
    return best if fall > _CONVINCING else plain


def _varied(given: Recirculation, name: str, values: Iterable[float]) -> list[Recirculation]:
    if not given.fraction:
        return []
    return [replace(given, **{name: v}) for v in values if v != getattr(given, name)]  # type: ignore[arg-type]


def _first_of(
    best: _Tried, candidates: Iterable[Recirculation], problem: Problem, samples: Samples
) -> _Tried:
    for candidate in candidates:
        tried = _try(best.theta, problem, samples, candidate)
        best = min(best, tried, key=lambda each: each.objective)
    return best


def _with(problem: Problem, recirculation: Recirculation) -> Problem:
    return replace(
        problem,
        family=recirculation.family,
        recirculated=recirculation.per_second(problem.times_s),
    )


def _try(start: Floats, problem: Problem, samples: Samples, recirculation: Recirculation) -> _Tried:
    own = _with(problem, recirculation)
    theta, _ = climb(start, own, samples, _SEARCH_STEPS)
    objective, _, _ = accumulate(theta, own, samples.total, samples.count, samples.lift)
    return _Tried(
        family=recirculation.family,
        recirculation=recirculation,
        theta=theta,
        objective=float(objective.sum()),
    )


def _scatter(tried: _Tried, problem: Problem, samples: Samples) -> float:
    judged = judge(tried.theta, _with(problem, tried.recirculation), samples)
    return max(float(np.median(judged.scatter)), 1e-9)
