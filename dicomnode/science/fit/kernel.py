"""The steps of Levenberg-Marquardt, compiled: pixel after pixel, all bins at once.

Samples and sums over bins are in single precision, steps in double.
"""

import math

import numpy as np

from dicomnode.science.compiled import aligned, compiled, inlined, vectorised
from dicomnode.science.elementary import exp32, log32
from dicomnode.science.fit.model import SIZE

__all__ = ["levenberg_marquardt_compiled", "residual_diagnostics_compiled"]

_F = np.float32
_SOONEST_S, _LEAST_SHARE = _F(1e-3), _F(1e-3)
_ZERO, _HALF, _ONE, _TWO, _FOUR_PI = _F(0), _F(0.5), _F(1), _F(2), _F(4 * math.pi)
_LEAST_PIVOT = 1e-30
_TOGETHER = 32
"""Pixels that take a step together."""
_SHARED = 19
"""Numbers that all bins of a pixel share."""
_SUMS = 21
"""Objective (or Pearson's sum), gradient (or counts), lower triangle of the information."""


@inlined
def _share(theta, n, coefficients, around, out):  # type: ignore[no-untyped-def]
    """Write what all bins of pixel ``n`` share, in the order in which :func:`_bin` takes it."""
    log_peak, log_tp, log_curvature = theta[n, 0], theta[n, 1], theta[n, 2]
    peak, tp, curvature = exp32(_F(log_peak)), exp32(_F(log_tp)), exp32(_F(log_curvature))
    out[0], out[1], out[2], out[3] = peak, log_tp, theta[n, 3], exp32(_F(theta[n, 4]))
    for i in range(4):
        out[4 + i] = coefficients[i, 0] + coefficients[i, 1] * curvature
        out[8 + i] = coefficients[i, 1] * curvature
    half = _HALF / curvature
    out[12] = peak * tp * math.sqrt(_FOUR_PI * half) * exp32(half)
    out[13] = _HALF + half
    out[14], out[15] = tp, _ONE / tp
    for i in range(3):
        out[16 + i] = theta[n, 1 + i] - around[i]


@inlined
def _in_registers(shared):  # type: ignore[no-untyped-def]
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
def _accumulate(  # type: ignore[no-untyped-def]
    times, again, total, count, n, shared, lift, slopes, out, a
):
    """Write objective, gradient and information of pixel ``n`` to row ``a``.

    The slopes (6, K) are scratch.
    """
    p = _in_registers(shared)
    n, of, a = np.uint64(n), np.uint64(min(n, count.shape[0] - 1)), np.uint64(a)
    objective = _ZERO
    g0, g1, g2, g3, g4 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    for each in range(times.size):
        k = np.uint64(each)
        model, s0, s1, s2, s3, s4 = _bin(
            times[k], again[0, k], again[1, k], again[2, k], again[3, k], p
        )
        lifted = model + lift
        inverse = _ONE / lifted
        d0, d1, d2, d3, d4 = s0 * inverse, s1 * inverse, s2 * inverse, s3 * inverse, s4 * inverse
        w = count[of, k]
        ratio = (total[n, k] + lift * w) * inverse
        objective += w * log32(lifted) + ratio
        off = w - ratio
        g0 += off * d0
        g1 += off * d1
        g2 += off * d2
        g3 += off * d3
        g4 += off * d4
        _keep(slopes, k, d0, d1, d2, d3, d4, w)
    out[a, 0], out[a, 1], out[a, 2], out[a, 3], out[a, 4], out[a, 5] = objective, g0, g1, g2, g3, g4
    _square(slopes, out, a)


@inlined
def _keep(slopes, k, d0, d1, d2, d3, d4, weight):  # type: ignore[no-untyped-def]
    """Keep the slopes of a bin and its weight, for :func:`_square`."""
    slopes[0, k], slopes[1, k], slopes[2, k] = d0, d1, d2
    slopes[3, k], slopes[4, k], slopes[5, k] = d3, d4, weight


@vectorised
def _square(slopes, out, a):  # type: ignore[no-untyped-def]
    """Write the lower triangle of the information at the end of row ``a``.

    In a loop of its own: together with what makes the slopes, the sums do not fit the registers.
    """
    h00, h10, h11, h20, h21, h22 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    h30, h31, h32, h33 = _ZERO, _ZERO, _ZERO, _ZERO
    h40, h41, h42, h43, h44 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    for each in range(slopes.shape[1]):
        k = np.uint64(each)
        d0, d1, d2, d3, d4 = slopes[0, k], slopes[1, k], slopes[2, k], slopes[3, k], slopes[4, k]
        w = slopes[5, k]
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
    out[a, 6], out[a, 7], out[a, 8], out[a, 9], out[a, 10] = h00, h10, h11, h20, h21
    out[a, 11], out[a, 12], out[a, 13], out[a, 14], out[a, 15] = h22, h30, h31, h32, h33
    out[a, 16], out[a, 17], out[a, 18], out[a, 19], out[a, 20] = h40, h41, h42, h43, h44


@inlined
def _with_prior(theta, a, centre, precision, sums):  # type: ignore[no-untyped-def]
    """Add the prior to objective and gradient; return the objective."""
    objective = sums[a, 0]
    for i in range(SIZE):
        pull = 0.0
        for j in range(SIZE):
            pull += precision[i, j] * (theta[a, j] - centre[j])
        sums[a, 1 + i] += pull
        objective += 0.5 * pull * (theta[a, i] - centre[i])
    return objective


@inlined
def _at_bounds(theta, n, lower, upper, sums, a, at_bound):  # type: ignore[no-untyped-def]
    """Mark the parameters that stand at a limit beyond which the objective falls."""
    for i in range(SIZE):
        value = theta[n, i]
        at_bound[i] = value <= lower[i] if sums[a, 1 + i] > 0 else value >= upper[i]


@inlined
def _solve(sums, a, precision, damping, at_bound, factor, step):  # type: ignore[no-untyped-def]
    """Write the damped step -(H + damping · diag H)⁻¹ g; return the fall that it predicts.

    By H = L D Lᵀ; the inverse of D takes the place of the diagonal. Parameters at a bound stay
    where they are, and the others know it.
    """
    for i in range(SIZE):
        for j in range(i + 1):
            factor[i, j] = sums[a, 6 + i * (i + 1) // 2 + j] + precision[i, j]
        factor[i, i] *= 1.0 + damping
        step[i] = -sums[a, 1 + i]
    for i in range(SIZE):
        if at_bound[i]:
            step[i] = 0.0
            for j in range(SIZE):
                factor[max(i, j), min(i, j)] = 1.0 if i == j else 0.0
    predicted = 0.0
    for i in range(SIZE):
        pivot = factor[i, i]
        for j in range(i):
            whole = factor[i, j]
            for k in range(j):
                whole -= factor[i, k] * factor[j, k]
            factor[i, j] = whole  # of L D, until the whole row is known
        for j in range(i):
            part = factor[i, j] * factor[j, j]
            pivot -= part * factor[i, j]
            factor[i, j] = part
            step[i] -= part * step[j]
        factor[i, i] = 1.0 / max(pivot, _LEAST_PIVOT)
        predicted += 0.5 * step[i] * step[i] * factor[i, i]
    for i in range(SIZE - 1, -1, -1):
        value = step[i] * factor[i, i]
        for k in range(i + 1, SIZE):
            value -= factor[k, i] * step[k]
        step[i] = value
    return predicted


@inlined
def _unfold(sums, a, matrices, n):  # type: ignore[no-untyped-def]
    """Write the full symmetric matrix of the triangle at the end of row ``a``."""
    for i in range(SIZE):
        for j in range(i + 1):
            value = sums[a, 6 + i * (i + 1) // 2 + j]
            matrices[n, i, j] = value
            matrices[n, j, i] = value


@compiled
def levenberg_marquardt_compiled(  # type: ignore[no-untyped-def]
    theta, times, again, around, coefficients, total, count, lift, centre, precision, lower, upper,
    rules, tolerated, longest, steps, used, objectives, information,
):  # fmt: skip
    """Fit the pixels in place; see :mod:`dicomnode.science.fit.levenberg_marquardt`.

    A few pixels take each step together: while one waits for its sums, the core is at the next.
    """
    enough, start, up, down, most = rules
    shared, slopes = np.empty(_SHARED, np.float32), aligned(SIZE + 1, times.size)
    sums, found = np.empty((_TOGETHER, _SUMS)), np.empty((_TOGETHER, _SUMS))
    tried, damping = np.empty((_TOGETHER, SIZE)), np.empty(_TOGETHER)
    active, at_bound = np.empty(_TOGETHER, np.int64), np.empty(SIZE, np.bool_)
    step, factor = np.empty(SIZE), np.empty((SIZE, SIZE))
    for first in range(0, theta.shape[0], _TOGETHER):
        left = min(_TOGETHER, theta.shape[0] - first)
        for a in range(left):
            n = first + a
            active[a], damping[a], objectives[n], used[n] = a, start, np.inf, 0
            for i in range(SIZE):
                tried[a, i] = theta[n, i]
        some = left
        while left > 0:
            for each in range(left):
                a = active[each]
                n = first + a
                _share(tried, a, coefficients, around, shared)
                _accumulate(times, again, total, count, n, shared, lift[n], slopes, found, a)
            unfinished = 0
            for each in range(left):
                a = active[each]
                n = first + a
                candidate = _with_prior(tried, a, centre, precision, found)
                if candidate <= objectives[n] + tolerated[min(n, count.shape[0] - 1)]:
                    for i in range(SIZE):
                        theta[n, i] = tried[a, i]
                    for i in range(_SUMS):
                        sums[a, i] = found[a, i]
                    objectives[n] = candidate
                    damping[a] *= down if used[n] > 0 else 1.0
                else:
                    damping[a] *= up
                used[n] += 1
                if used[n] >= steps or damping[a] > most:
                    continue
                _at_bounds(theta, n, lower, upper, sums, a, at_bound)
                predicted = _solve(sums, a, precision, damping[a], at_bound, factor, step)
                for i in range(SIZE):
                    move = min(max(step[i], -longest[i]), longest[i])
                    tried[a, i] = min(max(theta[n, i] + move, lower[i]), upper[i])
                if predicted < enough and damping[a] <= start:
                    for i in range(SIZE):
                        theta[n, i] = tried[a, i]
                    objectives[n] -= predicted
                    continue
                active[unfinished] = a
                unfinished += 1
            left = unfinished
        for a in range(some):
            _unfold(sums, a, information, first + a)


@vectorised
def _diagnose(  # type: ignore[no-untyped-def]
    times, again, total, count, n, shared, lift, slopes, out
):
    """Write Pearson's sum, its freedom, and the information with the samples' true variance."""
    p = _in_registers(shared)
    n, of = np.uint64(n), np.uint64(min(n, count.shape[0] - 1))
    pearson, free, used = _ZERO, _ZERO, _ZERO
    for each in range(times.size):
        k = np.uint64(each)
        model, s0, s1, s2, s3, s4 = _bin(
            times[k], again[0, k], again[1, k], again[2, k], again[3, k], p
        )
        inverse = _ONE / (model + lift)
        unlifted = max(model * inverse, _LEAST_SHARE)
        share = unlifted * unlifted
        w = count[of, k]
        present = _ONE if w > _ZERO else _ZERO
        off = (total[n, k] + lift * w) * inverse - w
        pearson += present * off * off / max(w, _LEAST_SHARE)
        free += present * share
        used += present
        _keep(slopes, k, s0, s1, s2, s3, s4, w * share * inverse * inverse)
    out[0, 0], out[0, 1], out[0, 2] = pearson, free, used
    _square(slopes, out, np.uint64(0))


@compiled
def residual_diagnostics_compiled(  # type: ignore[no-untyped-def]
    theta, times, again, around, coefficients, total, count, lift, scatter, varying, used
):
    """Diagnose the residuals of fitted pixels, in place."""
    shared, sums = np.empty(_SHARED, np.float32), np.empty((1, _SUMS))
    slopes = aligned(SIZE + 1, times.size)
    for n in range(theta.shape[0]):
        _share(theta, n, coefficients, around, shared)
        _diagnose(times, again, total, count, n, shared, lift[n], slopes, sums)
        pearson, free, used[n] = sums[0, 0], sums[0, 1], sums[0, 2]
        scatter[n] = pearson / max(free * (1 - SIZE / max(used[n], SIZE + 1.0)), 1e-3)
        _unfold(sums, 0, varying, n)
