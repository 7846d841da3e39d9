"""A lognormal bolus for every pixel, under the gamma likelihood that speckle calls for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.curves import Bins, bin_power, bin_times, is_power, wash_in
from dicomnode.science.fit.kernel import ITERATIONS, LOWER, UPPER, curves, maximise
from dicomnode.science.fit.noise import SPREAD, covariance, dispersion, share_of_variance, typical
from dicomnode.science.fit.recirculation import (
    Recirculation,
    choose_recirculation,
    no_recirculation,
)
from dicomnode.science.fit.start import dictionary_start, region_curve

__all__ = ["Fit", "fit_lognormal", "predict"]

Floats = NDArray[np.float64]

_FEWEST_FRAMES = 8
_TOLERATED = 0.02
"""Share of a pixel's peak below which a misfit does not count."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Fitted curves of N pixels: ``m(t) = A (f(t − t0; μ, σ) + r(t)) + B``.

    Attributes
    ----------
    log_auc, mu, log_sigma, t0_s, baseline : ndarray of float64, shape (N,)
        ln A (A in echo power × s), μ, ln σ, t0 in s, B in echo power. Always finite.
    covariance : ndarray of float64, shape (N, 5, 5)
        Of (ln A, μ, ln σ, t0, ln B): the sandwich of what the samples weigh and how much they vary,
        scaled by the pixel's own dispersion, at least the region's.
    qof : ndarray of float64, shape (N,)
        Quality of fit, 0 to 1; see :data:`dicomnode.science.kinetics.PARAMETERS`.
    failed : ndarray of bool, shape (N,)
        No usable samples: the values are the region's and mean nothing.
    dispersion : float
        Residual variance over that of ``looks``-look speckle, the median over the region.
    recirculation : Recirculation
        Shared.
    evaluations : ndarray of int64, shape (N,)
        Model evaluations spent.
    """

    log_auc: Floats
    mu: Floats
    log_sigma: Floats
    t0_s: Floats
    baseline: Floats
    covariance: Floats
    qof: Floats
    failed: NDArray[np.bool_]
    dispersion: float
    recirculation: Recirculation
    evaluations: NDArray[np.int64]


def _check(power: NDArray[np.floating], times_s: Floats, kept: NDArray[np.bool_] | None) -> None:
    if power.ndim != 2 or power.shape[1] == 0:
        raise ValueError(
            f"power: expected echo power of shape (frames, pixels), pixels > 0, got {power.shape}"
        )
    if times_s.shape != (power.shape[0],):
        raise ValueError(
            f"times_s: expected {power.shape[0]} seconds, one per frame, got shape {times_s.shape}"
        )
    if not (np.isfinite(times_s).all() and (np.diff(times_s) > 0).all()):
        raise ValueError("times_s: expected finite, strictly increasing seconds")
    if kept is not None and kept.shape != times_s.shape:
        raise ValueError(f"kept: expected shape {times_s.shape}, one per frame, got {kept.shape}")
    used = times_s.size if kept is None else int(np.count_nonzero(kept))
    if used < _FEWEST_FRAMES:
        raise ValueError(f"power: expected at least {_FEWEST_FRAMES} usable frames, got {used}")


def _bins(
    power: NDArray[np.floating], times_s: Floats, kept: NDArray[np.bool_] | None, n: int
) -> Bins:
    usable = is_power(power)
    pixels = usable.sum(axis=1)
    mean = np.where(usable, power, 0).sum(axis=1, dtype=np.float64) / np.maximum(pixels, 1)
    mean[pixels == 0] = np.nan
    if kept is not None:
        mean[~kept] = np.nan
    return bin_times(times_s, n, kept=kept, wash_in_s=wash_in(mean, times_s))


def _nothing(times_s: Floats, pixels: int) -> Fit:
    """Every pixel failed: there was no echo power anywhere."""
    middle = float(np.clip(np.log(np.ptp(times_s) / 4), LOWER[1], UPPER[1]))
    return Fit(
        log_auc=np.full(pixels, LOWER[0]), mu=np.full(pixels, middle),
        log_sigma=np.full(pixels, np.log(0.7)), t0_s=np.full(pixels, times_s[0]),
        baseline=np.zeros(pixels), covariance=np.tile(np.diag(SPREAD**2), (pixels, 1, 1)),
        qof=np.zeros(pixels), failed=np.ones(pixels, bool), dispersion=1.0,
        recirculation=no_recirculation(middle, float(times_s[0])),
        evaluations=np.zeros(pixels, np.int64),
    )  # fmt: skip


def fit_lognormal(
    power: NDArray[np.floating],
    times_s: Floats,
    *,
    looks: float = 1.0,
    kept: NDArray[np.bool_] | None = None,
    saturated: NDArray[np.floating] | NDArray[np.bool_] | None = None,
    bins: int = 75,
) -> Fit:
    """Fit a lognormal bolus on a baseline, with shared recirculation, to every pixel.

    Time is binned, finer during wash-in. The region's mean curve is fitted first; it centres a
    dictionary of 900 lognormals from which each pixel takes its start, and a weak normal prior
    (standard deviations 4, 1, 0.5, 2 s and 1.5 of ln A, μ, ln σ, t0 and ln B) that decides only
    where a pixel's own samples do not. Then Levenberg-Marquardt under the gamma likelihood.
    Misfits below a small part of a pixel's peak do not count (``_tolerated``). Recirculation has
    the region's shape, as a second pass or a well-mixed pool
    (:class:`~dicomnode.science.fit.recirculation.Recirculation`); form, share and delay are chosen
    by the deviance of a sample of pixels.

    Parameters
    ----------
    power : ndarray, shape (T, N)
        Linear echo power. Negative or non-finite samples, and those above 10³⁰, count as absent.
    times_s : ndarray of float64, shape (T,)
        Strictly increasing seconds.
    looks : float
        Independent speckle looks of one sample. It weighs the data against the prior; the
        covariance is corrected by the dispersion found.
    kept : ndarray of bool, shape (T,), optional
        Frames to use; all by default.
    saturated : ndarray, shape (T, N), optional
        Share of each sample that was at the top of the grey scale (bool, or 0 to 1 after
        smoothing). Censored exactly for single-look samples, approximately for others.
    bins : int
        Time bins.

    Returns
    -------
    Fit
        Finite for every input that is not refused.

    Raises
    ------
    ValueError
        Naming the argument, the shape and the unit expected.

    Notes
    -----
    The prior makes the estimate of a pixel without enhancement the region's timing with a large
    covariance, rather than an arbitrary one.
    """
    times_s = np.asarray(times_s, np.float64)
    _check(power, times_s, kept)
    if saturated is not None and saturated.shape != power.shape:
        raise ValueError(f"saturated: expected shape {power.shape}, got {saturated.shape}")
    if not (np.isfinite(looks) and looks > 0):
        raise ValueError(f"looks: expected a positive number, got {looks}")
    uncensored = None if saturated is None else 1 - np.asarray(saturated, np.float32)
    groups = _bins(power, times_s, kept, bins)
    total, count = bin_power(power, groups, uncensored=uncensored)
    level = total.sum() / max(count.sum(), 1e-9)
    if not level > 0:
        return _nothing(times_s, power.shape[1])
    lift = _tolerated(total, count) / level
    lifted = total / level + lift[:, np.newaxis] * count
    return _fit_lifted(groups.times_s, lifted * looks, count * looks, lift, float(level))


def _tolerated(total: Floats, count: Floats) -> Floats:
    """Echo power (N,) to be added to every sample of a pixel, hence to its baseline.

    Under the gamma likelihood a sample weighs by its ratio to the model, so that the foot of the
    curve, thousands of times below the peak, would weigh as much as the peak: where the tissue is
    not exactly lognormal, a fit to its foot misses its peak. With the addition only misfits above
    a small part of the peak count.
    """
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    return np.asarray(_TOLERATED * np.quantile(mean, 0.9, axis=1))


def _fit_lifted(times: Floats, total: Floats, count: Floats, lift: Floats, level: float) -> Fit:
    """Fit sums in units of the region's mean power, ``level``, each sample lifted by ``lift``."""
    failed = (count.sum(axis=1) <= 0) & (total.sum(axis=1) <= 0)
    region = region_curve(times, total.sum(axis=0), count.sum(axis=0))
    shared = choose_recirculation(times, total, count, region)
    extra = shared.per_area(times)
    start = dictionary_start(times, extra, total, count, region)
    theta, fisher, evaluations = maximise(
        start, times, extra, total, count, region, SPREAD**-2.0, ITERATIONS
    )
    theta[failed] = region
    scatter = dispersion(theta, times, extra, total, count, lift)
    usual = typical(scatter, theta[:, 0], failed)
    noise = np.maximum(scatter, usual)
    weight = count * share_of_variance(curves(theta, times, extra)[1], lift)
    _, varying, _ = maximise(theta, times, extra, total, weight, region, SPREAD**-2.0, 0)
    qof = np.where(failed, 0.0, usual / noise)
    return Fit(
        log_auc=theta[:, 0] + np.log(level), mu=theta[:, 1], log_sigma=theta[:, 2],
        t0_s=theta[:, 3], baseline=np.maximum(np.exp(theta[:, 4]) - lift, 0.0) * level,
        covariance=covariance(fisher, varying, noise), qof=qof, failed=failed,
        dispersion=usual, recirculation=shared, evaluations=evaluations,
    )  # fmt: skip


def predict(fit: Fit, times_s: Floats) -> Floats:
    """Fitted echo power, shape (T, N), at ``times_s`` (T,) in seconds."""
    theta = np.stack(
        [fit.log_auc, fit.mu, fit.log_sigma, fit.t0_s, np.log(np.maximum(fit.baseline, 1e-300))],
        axis=1,
    )
    times_s = np.asarray(times_s, np.float64)
    return curves(theta, times_s, fit.recirculation.per_area(times_s))[1].T
