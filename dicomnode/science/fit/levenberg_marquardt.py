"""Levenberg-Marquardt for many pixels under a gamma likelihood."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import aligned
from dicomnode.science.fit.kernel import levenberg_marquardt_compiled, residual_diagnostics_compiled
from dicomnode.science.fit.model import SIZE, Problem, limits

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
    used, objective = np.zeros(len(theta), np.int64), np.empty(len(theta))
    information = np.empty((len(theta), SIZE, SIZE), np.float32)
    levenberg_marquardt_compiled(
        theta, *_compiled_problem(problem, samples), problem.centre, problem.precision,
        *limits(problem.family), (_ENOUGH, _DAMPING, _UP, _DOWN, _MOST), _tolerated(samples),
        LONGEST, steps, used, objective, information,
    )  # fmt: skip
    return PixelFits(theta=theta, objective=objective, information=information, evaluations=used)


def residual_diagnostics(theta: Floats, problem: Problem, samples: Samples) -> Residuals:
    """Diagnose the residuals of N fitted pixels."""
    scatter, used = np.empty(len(theta)), np.empty(len(theta))
    varying = np.empty((len(theta), SIZE, SIZE), np.float32)
    residual_diagnostics_compiled(
        theta, *_compiled_problem(problem, samples), scatter, varying, used
    )
    return Residuals(scatter=scatter, varying=varying, used=used)


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
