"""Levenberg-Marquardt for many pixels under a gamma likelihood, compiled or in numpy.

Both paths take the same decisions on the same numbers, to rounding: where one fits a pixel to a
thousandth of its error bar, so does the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import AVAILABLE, aligned
from dicomnode.science.fit.kernel import levenberg_marquardt_compiled, residual_diagnostics_compiled
from dicomnode.science.fit.model import SIZE, Problem, accumulate, curves, limits

__all__ = [
    "LONGEST",
    "STEPS",
    "PixelFits",
    "Residuals",
    "Samples",
    "levenberg_marquardt",
    "residual_diagnostics",
]

Floats = NDArray[np.float64]

STEPS = 30
"""Most evaluations of one pixel."""
LONGEST = np.array([2.0, 0.7, 1.0, 4.0, 2.0])
"""Longest step in each parameter, so that a poor start cannot throw a curve out of the loop."""
_ENOUGH = 1e-2
"""Predicted fall of the objective below which the step is taken unseen: a seventh of an error bar.
What remains to be gone after it is a twentieth at most (root mean square)."""
_SLACK = 1e-6
"""Rise of the objective, per sample, that rounding in single precision may fake."""
_DAMPING, _UP, _DOWN, _MOST = 1e-2, 8.0, 0.1, 1e6
_LEAST_SHARE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Binned samples of N pixels, in units of the region's mean power.

    Attributes
    ----------
    total : ndarray of float32, shape (N, K)
        Sum of echo power over each bin.
    count : ndarray of float32, shape (N, K) or (1, K)
        Samples in each bin.
    lift : ndarray of float32, shape (N,)
        Power added to every sample; see :mod:`dicomnode.science.fit.model`.
    """

    total: NDArray[np.float32]
    count: NDArray[np.float32]
    lift: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelFits:
    """Fitted pixels.

    Attributes
    ----------
    theta : ndarray, shape (N, 5)
    objective : ndarray, shape (N,)
        As predicted by the last step, which is a seventh of an error bar at most.
    information : ndarray, shape (N, 5, 5)
        Of the lifted samples alone, before that step.
    evaluations : ndarray of int64, shape (N,)
    """

    theta: Floats
    objective: Floats
    information: NDArray[np.floating]
    evaluations: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Residuals:
    """How well N fitted curves go through their samples, and what the samples weigh.

    Attributes
    ----------
    scatter : ndarray, shape (N,)
        Pearson's dispersion: 1 for the speckle that the weights assume. Speckle makes the power
        vary in proportion to what was there before it was lifted.
    varying : ndarray, shape (N, 5, 5)
        Information, each sample counted by how much it truly varies.
    used : ndarray, shape (N,)
        Bins with samples.
    """

    scatter: Floats
    varying: NDArray[np.floating]
    used: Floats


def levenberg_marquardt(
    start: Floats, problem: Problem, samples: Samples, steps: int = STEPS
) -> PixelFits:
    """Fit N pixels of K bins.

    Parameters
    ----------
    start : ndarray, shape (N, 5)
        Where to begin; (ln PE, ln tp, ln s, t0 / s, ln B).
    problem : Problem
    samples : Samples
    steps : int
        Most evaluations per pixel, the first at the start itself.
    """
    theta = np.clip(start, *limits(problem.family))
    return (_compiled if AVAILABLE else _in_numpy)(theta, problem, samples, steps)


def residual_diagnostics(theta: Floats, problem: Problem, samples: Samples) -> Residuals:
    """Diagnose the residuals of N fitted pixels."""
    return (_diagnostics_compiled if AVAILABLE else _diagnostics_in_numpy)(theta, problem, samples)


def _compiled(theta: Floats, problem: Problem, samples: Samples, steps: int) -> PixelFits:
    used, objective = np.zeros(len(theta), np.int64), np.empty(len(theta))
    information = np.empty((len(theta), SIZE, SIZE), np.float32)
    levenberg_marquardt_compiled(
        theta, *_compiled_problem(problem, samples), problem.centre, problem.precision,
        *limits(problem.family), (_ENOUGH, _DAMPING, _UP, _DOWN, _MOST), _tolerated(samples),
        LONGEST, steps, used, objective, information,
    )  # fmt: skip
    return PixelFits(theta=theta, objective=objective, information=information, evaluations=used)


def _tolerated(samples: Samples) -> Floats:
    """Rise of the objective that counts as none, of each pixel or of all alike."""
    return np.asarray(_SLACK * (samples.count.sum(axis=1) + 1.0), np.float64)


def _compiled_problem(problem: Problem, samples: Samples) -> tuple[NDArray[np.floating], ...]:
    """One memory layout and precision, so that numba compiles once."""
    shared = aligned(5, len(problem.times_s))
    shared[0], shared[1:] = problem.times_s, problem.again.curves
    total, count = np.ascontiguousarray(samples.total), np.ascontiguousarray(samples.count)
    around = np.asarray(problem.again.around, np.float64)
    return shared[0], shared[1:], around, problem.family.coefficients, total, count, samples.lift


def _diagnostics_compiled(theta: Floats, problem: Problem, samples: Samples) -> Residuals:
    scatter, used = np.empty(len(theta)), np.empty(len(theta))
    varying = np.empty((len(theta), SIZE, SIZE), np.float32)
    residual_diagnostics_compiled(
        theta, *_compiled_problem(problem, samples), scatter, varying, used
    )
    return Residuals(scatter=scatter, varying=varying, used=used)


def _in_numpy(theta: Floats, problem: Problem, samples: Samples, steps: int) -> PixelFits:
    """All pixels step together until each is done."""
    lower, upper = limits(problem.family)
    active = np.arange(len(theta))
    count = np.broadcast_to(samples.count, samples.total.shape)
    objective, gradient, information = _with_prior(theta, problem, samples, count, active)
    damping = np.full(len(theta), _DAMPING)
    tolerated = np.broadcast_to(_tolerated(samples), len(theta))
    used = np.ones(len(theta), np.int64)
    while (active := active[used[active] < steps]).size:
        at_bound = np.where(gradient > 0, theta <= lower, theta >= upper)[active]
        step, predicted = _step(gradient[active], information[active], damping[active], at_bound)
        tried = np.clip(theta[active] + np.clip(step, -LONGEST, LONGEST), lower, upper)
        near = (predicted < _ENOUGH) & (damping[active] <= _DAMPING)
        theta[active[near]] = tried[near]
        objective[active[near]] -= predicted[near]
        active, tried = active[~near], tried[~near]
        found = _with_prior(tried, problem, samples, count, active)
        used[active] += 1
        better = found[0] <= objective[active] + tolerated[active]
        won = active[better]
        theta[won] = tried[better]
        objective[won], gradient[won], information[won] = (each[better] for each in found)
        damping[active] *= np.where(better, _DOWN, _UP)
        active = active[better | (damping[active] <= _MOST)]
    return PixelFits(
        theta=theta,
        objective=objective,
        information=information - problem.precision,
        evaluations=used,
    )


def _with_prior(
    theta: Floats, problem: Problem, samples: Samples, count: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    objective, gradient, information = accumulate(
        theta, problem, samples.total[rows], count[rows], samples.lift[rows]
    )
    off = theta - problem.centre
    pull = off @ problem.precision
    return (
        objective + 0.5 * (pull * off).sum(axis=1),
        gradient + pull,
        information + problem.precision,
    )


def _step(
    gradient: Floats, information: Floats, damping: Floats, at_bound: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Damped step, and the fall of the objective it predicts; what is at a bound stays."""
    damped = information * (1 + damping[:, None, None] * np.eye(SIZE))
    damped = np.where(at_bound[:, :, None] | at_bound[:, None, :], np.eye(SIZE), damped)
    free = np.where(at_bound, 0.0, gradient)
    step = np.asarray(-np.linalg.solve(damped, free[..., None])[..., 0], np.float64)
    return step, -0.5 * (step * free).sum(axis=1)


def _diagnostics_in_numpy(theta: Floats, problem: Problem, samples: Samples) -> Residuals:
    count = np.broadcast_to(samples.count, samples.total.shape).astype(np.float64)
    lift = samples.lift[:, None].astype(np.float64)
    model, slopes = curves(theta, problem)
    lifted = model + lift
    share = np.maximum(model / lifted, _LEAST_SHARE) ** 2
    present = count > 0
    off = (samples.total + lift * count) / lifted - count
    pearson = np.where(present, off * off / np.maximum(count, _LEAST_SHARE), 0).sum(axis=1)
    used = present.sum(axis=1).astype(np.float64)
    free = (share * present).sum(axis=1) * (1 - SIZE / np.maximum(used, SIZE + 1))
    relative = np.stack(slopes, axis=1) / lifted[:, None, :]
    varying = (relative * (count * share)[:, None, :]) @ relative.transpose(0, 2, 1)
    return Residuals(scatter=pearson / np.maximum(free, 1e-3), varying=varying, used=used)
