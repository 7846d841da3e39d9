"""Levenberg-Marquardt for many lognormal curves under a gamma likelihood, compiled or in numpy.

Both paths do the same arithmetic in the same order of decisions, so they agree to rounding. The
five parameters of a curve are, in this order, ln A, μ, ln σ, t0 / s and ln B:

    m(t) = A · (f(t − t0; μ, σ) + r(t)) + B,    f lognormal of unit area, r recirculation, shared.

Minimised is Σ (w ln m + S/m) + ½ Σ p (θ − θ₀)²: the gamma log-likelihood of bins with power sum S
and sample count w, and a weak normal prior of precision p.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import AVAILABLE, compiled

__all__ = ["ITERATIONS", "LOWER", "SIZE", "STEP", "UPPER", "curves", "maximise", "maximise_numpy"]

Floats = NDArray[np.float64]

ITERATIONS = 30
"""Most steps of one fit."""
SIZE = 5
"""Parameters per curve."""
LOWER = np.array([-80.0, -3.0, math.log(0.1), -1e5, -80.0])
UPPER = np.array([80.0, 7.0, math.log(2.0), 1e5, 80.0])
STEP = np.array([2.0, 0.7, 0.5, 4.0, 2.0])
"""Longest step of one iteration, so that a poor start cannot throw a curve out of the loop."""

_ROOT_2PI = math.sqrt(2 * math.pi)
_TOLERANCE = 1e-7
"""Relative fall of the objective, per sample, below which a curve is done."""
_DAMPING_START, _DAMPING_UP, _DAMPING_DOWN, _DAMPING_MOST = 1e-2, 8.0, 0.2, 1e8


@compiled
def _accumulate(  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    theta, times, extra, total, count, prior, precision, gradient, hessian
):
    """Fill gradient and Fisher information (lower triangle) at ``theta``; return the objective."""
    gain, mu, sigma = math.exp(theta[0]), theta[1], math.exp(theta[2])
    t0, base = theta[3], math.exp(theta[4])
    slope = np.empty(SIZE)
    objective = 0.0
    for i in range(SIZE):
        off = theta[i] - prior[i]
        objective += 0.5 * precision[i] * off * off
        gradient[i] = precision[i] * off
        for j in range(i + 1):
            hessian[i, j] = 0.0
        hessian[i, i] = precision[i]
    for k in range(times.size):
        if count[k] <= 0.0 and total[k] <= 0.0:
            continue
        x = times[k] - t0
        bolus, z = 0.0, 0.0
        if x > 0.0:
            z = (math.log(x) - mu) / sigma
            bolus = gain * math.exp(-0.5 * z * z) / (_ROOT_2PI * sigma * x)
        else:
            x = 1.0
        model = bolus + gain * extra[k] + base
        slope[0] = (bolus + gain * extra[k]) / model
        share = bolus / model
        slope[1] = share * z / sigma
        slope[2] = share * (z * z - 1.0)
        slope[3] = share * (1.0 + z / sigma) / x
        slope[4] = base / model
        ratio = total[k] / model
        objective += count[k] * math.log(model) + ratio
        for i in range(SIZE):
            gradient[i] += (count[k] - ratio) * slope[i]
            for j in range(i + 1):
                hessian[i, j] += count[k] * slope[i] * slope[j]
    return objective


@compiled
def _solve(hessian, gradient, damping, step):  # type: ignore[no-untyped-def]
    """Write the damped step -(H + damping · diag H)⁻¹ g by Cholesky's factorisation."""
    factor = np.zeros((SIZE, SIZE))
    for i in range(SIZE):
        for j in range(i + 1):
            value = hessian[i, j]
            if i == j:
                value *= 1.0 + damping
            for k in range(j):
                value -= factor[i, k] * factor[j, k]
            factor[i, j] = math.sqrt(max(value, 1e-300)) if i == j else value / factor[j, j]
    for i in range(SIZE):
        value = -gradient[i]
        for k in range(i):
            value -= factor[i, k] * step[k]
        step[i] = value / factor[i, i]
    for i in range(SIZE - 1, -1, -1):
        value = step[i]
        for k in range(i + 1, SIZE):
            value -= factor[k, i] * step[k]
        step[i] = value / factor[i, i]


@compiled
def _curve(  # type: ignore[no-untyped-def]
    theta, times, extra, total, count, prior, precision, lower, upper, longest, steps, fisher
):
    """Fit one curve in place; return the number of evaluations."""
    gradient, step = np.empty(SIZE), np.empty(SIZE)
    hessian, tried_hessian = np.empty((SIZE, SIZE)), np.empty((SIZE, SIZE))
    tried, tried_gradient = np.empty(SIZE), np.empty(SIZE)
    objective = _accumulate(theta, times, extra, total, count, prior, precision, gradient, hessian)
    enough = _TOLERANCE * (count.sum() + 1.0)
    damping, used = _DAMPING_START, 0
    while used < steps:
        used += 1
        _solve(hessian, gradient, damping, step)
        for i in range(SIZE):
            move = min(max(step[i], -longest[i]), longest[i])
            tried[i] = min(max(theta[i] + move, lower[i]), upper[i])
        candidate = _accumulate(
            tried, times, extra, total, count, prior, precision, tried_gradient, tried_hessian
        )
        if candidate <= objective:
            fall = objective - candidate
            theta[:], gradient[:], hessian[:] = tried, tried_gradient, tried_hessian
            objective = candidate
            damping *= _DAMPING_DOWN
            if fall < enough:
                break
        else:
            damping *= _DAMPING_UP
            if damping > _DAMPING_MOST:
                break
    for i in range(SIZE):
        for j in range(i + 1):
            fisher[i, j] = hessian[i, j]
            fisher[j, i] = hessian[i, j]
    return used


@compiled
def _all_curves(  # type: ignore[no-untyped-def]
    theta, times, extra, total, count, prior, precision, lower, upper, longest, steps
):
    fisher = np.empty((theta.shape[0], SIZE, SIZE))
    used = np.empty(theta.shape[0], np.int64)
    for n in range(theta.shape[0]):
        used[n] = _curve(
            theta[n], times, extra, total[n], count[n], prior, precision, lower, upper, longest,
            steps, fisher[n],
        )  # fmt: skip
    return fisher, used


def curves(theta: Floats, times_s: Floats, extra: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Bolus, model, z and x of (N, 5) parameters at K times; each (N, K)."""
    gain, mu, sigma = np.exp(theta[:, :1]), theta[:, 1:2], np.exp(theta[:, 2:3])
    x = times_s - theta[:, 3:4]
    arrived = x > 0
    x = np.where(arrived, x, 1.0)
    z = np.where(arrived, (np.log(x) - mu) / sigma, 0.0)
    bolus = np.where(arrived, gain * np.exp(-0.5 * z * z) / (_ROOT_2PI * sigma * x), 0.0)
    return bolus, bolus + gain * extra + np.exp(theta[:, 4:5]), z, x


def _accumulate_numpy(
    theta: Floats, times: Floats, extra: Floats, total: Floats, count: Floats, prior: Floats,
    precision: Floats,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Objective (N,), gradient (N, 5) and Fisher information (N, 5, 5)."""
    bolus, model, z, x = curves(theta, times, extra)
    sigma, base = np.exp(theta[:, 2:3]), np.exp(theta[:, 4:5])
    share = bolus / model
    slopes = (1 - base / model, share * z / sigma, share * (z * z - 1), base / model)
    slope = np.stack([*slopes[:3], share * (1 + z / sigma) / x, slopes[3]], axis=1)
    used = (count > 0) | (total > 0)
    ratio = np.where(used, total / model, 0)
    off = theta - prior
    objective = (np.where(used, count * np.log(model), 0) + ratio).sum(axis=1)
    objective += (0.5 * precision * off * off).sum(axis=1)
    gradient = np.einsum("nk,nik->ni", count - ratio, slope) + precision * off
    fisher = (slope * count[:, None]) @ slope.transpose(0, 2, 1) + np.diag(precision)
    return objective, gradient, fisher


def _step_numpy(gradient: Floats, fisher: Floats, damping: Floats) -> Floats:
    damped = fisher + np.einsum("n,nij,ij->nij", damping, fisher, np.eye(SIZE))
    return np.asarray(-np.linalg.solve(damped, gradient[..., None])[..., 0])


def maximise_numpy(
    start: Floats, times: Floats, extra: Floats, total: Floats, count: Floats, prior: Floats,
    precision: Floats, steps: int,
) -> tuple[Floats, Floats, NDArray[np.int64]]:  # fmt: skip
    """As :func:`maximise`, in numpy: all curves step together until each is done."""
    theta, used = start.copy(), np.full(start.shape[0], steps)
    objective, gradient, fisher = _accumulate_numpy(
        theta, times, extra, total, count, prior, precision
    )
    damping = np.full(start.shape[0], _DAMPING_START)
    enough = _TOLERANCE * (count.sum(axis=1) + 1)
    active = np.arange(start.shape[0])
    for step in range(1, steps + 1):
        move = np.clip(_step_numpy(gradient[active], fisher[active], damping[active]), -STEP, STEP)
        tried = np.clip(theta[active] + move, LOWER, UPPER)
        candidate, tried_gradient, tried_fisher = _accumulate_numpy(
            tried, times, extra, total[active], count[active], prior, precision
        )
        better = candidate <= objective[active]
        fall = objective[active] - candidate
        won = active[better]
        theta[won], objective[won] = tried[better], candidate[better]
        gradient[won], fisher[won] = tried_gradient[better], tried_fisher[better]
        damping[active] *= np.where(better, _DAMPING_DOWN, _DAMPING_UP)
        done = np.where(better, fall < enough[active], damping[active] > _DAMPING_MOST)
        used[active[done]] = step
        active = active[~done]
        if active.size == 0:
            break
    return theta, fisher, used


def _maximise_compiled(
    start: Floats, times: Floats, extra: Floats, total: Floats, count: Floats, prior: Floats,
    precision: Floats, steps: int,
) -> tuple[Floats, Floats, NDArray[np.int64]]:  # fmt: skip
    theta = np.array(start, order="C")
    # one memory layout, so that numba compiles once
    given = [np.ascontiguousarray(each) for each in (times, extra, total, count, prior, precision)]
    fisher, used = _all_curves(theta, *given, LOWER, UPPER, STEP, steps)
    return theta, fisher, used


_ROWS = 4096
"""Curves handled together by the numpy path: bounds its memory."""


def maximise(
    start: Floats, times: Floats, extra: Floats, total: Floats, count: Floats, prior: Floats,
    precision: Floats, steps: int,
) -> tuple[Floats, Floats, NDArray[np.int64]]:  # fmt: skip
    """Fit N curves of K bins.

    Parameters
    ----------
    start : ndarray, shape (N, 5)
        Where to begin.
    times, extra : ndarray, shape (K,)
        Seconds; recirculation per unit area.
    total, count : ndarray, shape (N, K)
        Power sum and sample count of each bin.
    prior, precision : ndarray, shape (5,)
        Centre and inverse variance of the prior.
    steps : int
        Most evaluations per curve.

    Returns
    -------
    theta : ndarray, shape (N, 5)
    fisher : ndarray, shape (N, 5, 5)
        Information of data and prior at ``theta``.
    evaluations : ndarray of int64, shape (N,)
    """
    inner: Any = _maximise_compiled if AVAILABLE else maximise_numpy
    parts = [
        inner(start[i : i + _ROWS], times, extra, total[i : i + _ROWS], count[i : i + _ROWS],
              prior, precision, steps)
        for i in range(0, max(start.shape[0], 1), _ROWS)
    ]  # fmt: skip
    theta, fisher, used = (np.concatenate(part) for part in zip(*parts, strict=True))
    return theta, fisher, used
