"""The steps of :mod:`dicomnode.science.fit.climb`, compiled: pixel after pixel, all bins at once.

Samples and sums over bins are in single precision, steps in double.
"""

import math

import numpy as np

from dicomnode.science.compiled import compiled, inlined, vectorised
from dicomnode.science.elementary import exp32, log32
from dicomnode.science.fit.model import SIZE

__all__ = ["climb_compiled", "judge_compiled"]

_F = np.float32
_SOONEST_S, _LEAST_SHARE = _F(1e-3), _F(1e-3)
_ZERO, _ONE, _TWO = _F(0), _F(1), _F(2)
_SHARED = 19
"""Numbers that all bins of a pixel share."""
_SUMS = 21
"""Objective (or Pearson's sum), gradient (or counts), lower triangle of the information."""


@compiled
def _share(theta, coefficients, around, out):  # type: ignore[no-untyped-def]  # compiled: types inferred
    """Write what all bins of a pixel share, in the order in which :func:`_bin` takes it."""
    peak, tp, curvature = math.exp(theta[0]), math.exp(theta[1]), math.exp(theta[2])
    out[0], out[1], out[2], out[3] = peak, theta[1], theta[3], math.exp(theta[4])
    for i in range(4):
        out[4 + i] = coefficients[i, 0] + coefficients[i, 1] * curvature
        out[8 + i] = coefficients[i, 1] * curvature
    out[12] = peak * tp * math.sqrt(2 * math.pi / curvature) * math.exp(0.5 / curvature)
    out[13] = 0.5 + 0.5 / curvature
    out[14], out[15] = tp, 1 / tp
    for i in range(3):
        out[16 + i] = theta[1 + i] - around[i]


@inlined
def _held(shared):  # type: ignore[no-untyped-def]
    """Take the shared numbers out of memory, so that a loop may keep them in registers."""
    return (
        shared[0], shared[1], shared[2], shared[3], shared[4], shared[5], shared[6], shared[7],
        shared[8], shared[9], shared[10], shared[11], shared[12], shared[13], shared[14],
        shared[15], shared[16], shared[17], shared[18],
    )  # fmt: skip


@inlined
def _bin(time, r0, r1, r2, r3, p):  # type: ignore[no-untyped-def]
    """Model and its five slopes at one time."""
    since = time - p[2]
    x = max(since, _SOONEST_S)
    u = log32(x) - p[1]
    inverse = _ONE / x
    late, early = x * p[15], p[14] * inverse
    log_height = p[4] * u * u + p[5] * u + p[6] * (late - _ONE) + p[7] * (early - _ONE)
    bolus = p[0] * exp32(log_height) if since > _SOONEST_S else _ZERO
    rise = bolus * (_TWO * p[4] * u + p[5] + p[6] * late - p[7] * early)
    bend = bolus * (p[8] * u * u + p[9] * u + p[10] * (late - _ONE) + p[11] * (early - _ONE))
    recirculated = r0 + p[16] * r1 + p[17] * r2 + p[18] * r3
    area = p[12] if recirculated > _ZERO else _ZERO
    again = area * recirculated
    later, sharper, shifted = again + area * r1, area * r2 - again * p[13], area * r3
    model = bolus + again + p[3]
    return model, bolus + again, later - rise, bend + sharper, shifted - rise * inverse, p[3]


@vectorised
def _accumulate(times, again, total, count, shared, lift, out):  # type: ignore[no-untyped-def]
    """Write objective, gradient and information of one pixel."""
    p = _held(shared)
    objective = _ZERO
    g0, g1, g2, g3, g4 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    h00, h10, h11, h20, h21, h22 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    h30, h31, h32, h33 = _ZERO, _ZERO, _ZERO, _ZERO
    h40, h41, h42, h43, h44 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    for k in range(times.size):
        model, s0, s1, s2, s3, s4 = _bin(
            times[k], again[0, k], again[1, k], again[2, k], again[3, k], p
        )
        lifted = model + lift
        inverse = _ONE / lifted
        d0, d1, d2, d3, d4 = s0 * inverse, s1 * inverse, s2 * inverse, s3 * inverse, s4 * inverse
        w = count[k]
        ratio = (total[k] + lift * w) * inverse
        objective += w * log32(lifted) + ratio
        off = w - ratio
        g0 += off * d0
        g1 += off * d1
        g2 += off * d2
        g3 += off * d3
        g4 += off * d4
        e0, e1, e2, e3, e4 = w * d0, w * d1, w * d2, w * d3, w * d4
        h00 += e0 * d0
        h10 += e1 * d0
        h11 += e1 * d1
        h20 += e2 * d0
        h21 += e2 * d1
        h22 += e2 * d2
        h30 += e3 * d0
        h31 += e3 * d1
        h32 += e3 * d2
        h33 += e3 * d3
        h40 += e4 * d0
        h41 += e4 * d1
        h42 += e4 * d2
        h43 += e4 * d3
        h44 += e4 * d4
    out[0] = objective
    out[1], out[2], out[3], out[4], out[5] = g0, g1, g2, g3, g4
    out[6], out[7], out[8], out[9], out[10], out[11] = h00, h10, h11, h20, h21, h22
    out[12], out[13], out[14], out[15] = h30, h31, h32, h33
    out[16], out[17], out[18], out[19], out[20] = h40, h41, h42, h43, h44


@compiled
def _with_prior(theta, centre, precision, sums):  # type: ignore[no-untyped-def]
    """Add the prior to objective and gradient; return the objective."""
    objective = sums[0]
    for i in range(SIZE):
        pull = 0.0
        for j in range(SIZE):
            pull += precision[i, j] * (theta[j] - centre[j])
        sums[1 + i] += pull
        objective += 0.5 * pull * (theta[i] - centre[i])
    return objective


@compiled
def _solve(sums, precision, damping, factor, step):  # type: ignore[no-untyped-def]
    """Write the damped step -(H + damping · diag H)⁻¹ g by Cholesky; return the fall foretold."""
    for i in range(SIZE):
        for j in range(i + 1):
            value = sums[6 + i * (i + 1) // 2 + j] + precision[i, j]
            if i == j:
                value *= 1.0 + damping
            for k in range(j):
                value -= factor[i, k] * factor[j, k]
            factor[i, j] = math.sqrt(max(value, 1e-30)) if i == j else value / factor[j, j]
    for i in range(SIZE):
        value = -sums[1 + i]
        for k in range(i):
            value -= factor[i, k] * step[k]
        step[i] = value / factor[i, i]
    foretold = 0.0
    for i in range(SIZE):
        foretold += 0.5 * step[i] * step[i]
    for i in range(SIZE - 1, -1, -1):
        value = step[i]
        for k in range(i + 1, SIZE):
            value -= factor[k, i] * step[k]
        step[i] = value / factor[i, i]
    return foretold


@compiled
def _unfold(sums, matrix):  # type: ignore[no-untyped-def]
    """Write the full symmetric matrix of the triangle at the end of ``sums``."""
    for i in range(SIZE):
        for j in range(i + 1):
            matrix[i, j] = sums[6 + i * (i + 1) // 2 + j]
            matrix[j, i] = matrix[i, j]


@compiled
def climb_compiled(  # type: ignore[no-untyped-def]
    theta, times, again, around, coefficients, total, count, lift, centre, precision, lower, upper,
    rules, longest, steps, used, objectives, information,
):  # fmt: skip
    """Fit the pixels in place; see :func:`dicomnode.science.fit.climb.climb`."""
    enough, slack, start, up, down, most = rules
    shared = np.empty(_SHARED, np.float32)
    sums, tried_sums = np.empty(_SUMS), np.empty(_SUMS)
    step, tried, factor = np.empty(SIZE), np.empty(SIZE), np.empty((SIZE, SIZE))
    for n in range(theta.shape[0]):
        # views are made once for a pixel: each counts as a reference, which takes time
        point, samples, row = theta[n], total[n], count[min(n, count.shape[0] - 1)]
        lifted = lift[n]
        tolerated = slack * (row.sum() + 1.0)
        _share(point, coefficients, around, shared)
        _accumulate(times, again, samples, row, shared, lifted, sums)
        objective = _with_prior(point, centre, precision, sums)
        damping, evaluations = start, 1
        while evaluations < steps:
            foretold = _solve(sums, precision, damping, factor, step)
            for i in range(SIZE):
                move = min(max(step[i], -longest[i]), longest[i])
                tried[i] = min(max(point[i] + move, lower[i]), upper[i])
            if foretold < enough and damping <= start:
                for i in range(SIZE):
                    point[i] = tried[i]
                break
            _share(tried, coefficients, around, shared)
            _accumulate(times, again, samples, row, shared, lifted, tried_sums)
            candidate = _with_prior(tried, centre, precision, tried_sums)
            evaluations += 1
            if candidate <= objective + tolerated:
                for i in range(SIZE):
                    point[i] = tried[i]
                for i in range(_SUMS):
                    sums[i] = tried_sums[i]
                objective = candidate
                damping *= down
            else:
                damping *= up
                if damping > most:
                    break
        used[n], objectives[n] = evaluations, objective
        _unfold(sums, information[n])


@vectorised
def _judge(times, again, total, count, shared, lift, out):  # type: ignore[no-untyped-def]
    """Write Pearson's sum, its freedom, and the information with the samples' true variance."""
    p = _held(shared)
    pearson, free, used = _ZERO, _ZERO, _ZERO
    h00, h10, h11, h20, h21, h22 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    h30, h31, h32, h33 = _ZERO, _ZERO, _ZERO, _ZERO
    h40, h41, h42, h43, h44 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    for k in range(times.size):
        model, s0, s1, s2, s3, s4 = _bin(
            times[k], again[0, k], again[1, k], again[2, k], again[3, k], p
        )
        inverse = _ONE / (model + lift)
        unlifted = max(model * inverse, _LEAST_SHARE)
        share = unlifted * unlifted
        w = count[k]
        present = _ONE if w > _ZERO else _ZERO
        off = (total[k] + lift * w) * inverse - w
        pearson += present * off * off / max(w, _LEAST_SHARE)
        free += present * share
        used += present
        weight = w * share * inverse * inverse
        e0, e1, e2, e3, e4 = weight * s0, weight * s1, weight * s2, weight * s3, weight * s4
        h00 += e0 * s0
        h10 += e1 * s0
        h11 += e1 * s1
        h20 += e2 * s0
        h21 += e2 * s1
        h22 += e2 * s2
        h30 += e3 * s0
        h31 += e3 * s1
        h32 += e3 * s2
        h33 += e3 * s3
        h40 += e4 * s0
        h41 += e4 * s1
        h42 += e4 * s2
        h43 += e4 * s3
        h44 += e4 * s4
    out[0], out[1], out[2] = pearson, free, used
    out[6], out[7], out[8], out[9], out[10], out[11] = h00, h10, h11, h20, h21, h22
    out[12], out[13], out[14], out[15] = h30, h31, h32, h33
    out[16], out[17], out[18], out[19], out[20] = h40, h41, h42, h43, h44


@compiled
def judge_compiled(  # type: ignore[no-untyped-def]
    theta, times, again, around, coefficients, total, count, lift, scatter, varying
):
    """Judge fitted pixels; see :func:`dicomnode.science.fit.climb.judge`."""
    shared, sums = np.empty(_SHARED, np.float32), np.empty(_SUMS)
    for n in range(theta.shape[0]):
        row = count[min(n, count.shape[0] - 1)]
        _share(theta[n], coefficients, around, shared)
        _judge(times, again, total[n], row, shared, lift[n], sums)
        used = max(sums[2], 1.0)
        scatter[n] = sums[0] / max(sums[1] * (1 - SIZE / max(used, SIZE + 1.0)), 1e-3)
        _unfold(sums, varying[n])
