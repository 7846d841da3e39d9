"""The compiled loops of the fit and of sampling once more, in plain numpy: oracles of their tests.

Each takes the same decisions on the same numbers, to rounding.
"""

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.fit.levenberg_marquardt import (
    _DAMPING,
    _DOWN,
    _ENOUGH,
    _MOST,
    _UP,
    LONGEST,
    STEPS,
    PixelFits,
    Residuals,
    Samples,
    _tolerated,
)
from dicomnode.science.fit.model import SIZE, Problem, curves, limits
from dicomnode.science.interpolation import mix

__all__ = [
    "accumulate",
    "add",
    "covariance",
    "enhancement",
    "levenberg_marquardt",
    "residual_diagnostics",
    "sums_by_label",
]

Floats = NDArray[np.float64]

_LEAST_SHARE = 1e-3


def add(
    frames: NDArray[np.uint8], which: NDArray[np.int64], corners: NDArray[np.int64],
    parts: NDArray[np.float32], scale: np.float32, limit: int, brightest: NDArray[np.uint8],
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Add echo power of some frames where there is no limit, else which samples reach it."""
    for t, corner, part, levels in zip(which, corners, parts, brightest, strict=True):
        rows, columns = (
            np.clip(np.arange(size + 1) + first, 0, most - 1)
            for size, first, most in zip(out.shape, corner, frames.shape[1:], strict=True)
        )
        box = frames[t][rows][:, columns]
        levels[:] = box.max(axis=1)
        values = np.asarray(box >= limit if limit else np.exp(box * scale), np.float32)
        mixed = mix(values[:-1], values[1:], part[0])
        out += mix(mixed[:, :-1], mixed[:, 1:], part[1])


def sums_by_label(
    image: NDArray[np.float32], labels: NDArray[np.uint8], count: int
) -> NDArray[np.float64]:
    """Sum of an image over each label."""
    return np.asarray(np.bincount(labels.ravel(), image.ravel(), count), np.float64)


def enhancement(
    total: NDArray[np.float32], count: NDArray[np.float32], bins: int, base: float, share: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean power above the base in each of the first bins, and its root."""
    fewest = np.maximum(share * count.max(axis=0), np.float32(1e-9))
    power = total[:, :bins] / np.maximum(count, fewest)[:, :bins] - np.float32(base)
    power = np.maximum(power, 0)
    return power, np.sqrt(power)


def covariance(information: Floats, varying: Floats, scatter: Floats, precision: Floats) -> Floats:
    """Sandwich of what the samples weigh around how much they vary."""
    inverse = np.linalg.inv(information / scatter[:, None, None] + precision)
    return np.asarray(inverse @ (varying / scatter[:, None, None] + precision) @ inverse)


def levenberg_marquardt(
    start: Floats, problem: Problem, samples: Samples, steps: int = STEPS
) -> PixelFits:
    """All pixels step together until each is done."""
    lower, upper = limits(problem.family)
    theta = np.clip(start, lower, upper)
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


def residual_diagnostics(theta: Floats, problem: Problem, samples: Samples) -> Residuals:
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


def accumulate(
    theta: Floats,
    problem: Problem,
    total: NDArray[np.floating],
    count: NDArray[np.floating],
    lift: NDArray[np.floating],
) -> tuple[Floats, Floats, Floats]:
    """Objective (N,), gradient (N, 5) and Fisher information (N, 5, 5) of the data alone."""
    model, slopes = curves(theta, problem)
    model = model + lift[:, None]
    relative = np.stack(slopes, axis=1) / model[:, None, :]
    ratio = (total + count * lift[:, None]) / model
    objective = (count * np.log(model) + ratio).sum(axis=1)
    gradient = np.einsum("nk,nik->ni", count - ratio, relative)
    information = (relative * count[:, None, :]) @ relative.transpose(0, 2, 1)
    return objective, gradient, information
