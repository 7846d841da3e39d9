"""A lognormal bolus for every pixel, under the gamma likelihood that speckle calls for."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.curves import Bins, bin_power, bin_times, is_power, wash_in
from dicomnode.science.fit_kernel import LOWER, SIZE, UPPER, curves, maximise
from dicomnode.science.fit_start import dictionary_start, region_curve
from dicomnode.science.kinetics import lognormal, recirculation

__all__ = ["Fit", "Recirculation", "fit_lognormal", "predict"]

Floats = NDArray[np.float64]

_SPREAD = np.array([4.0, 1.0, 0.5, 2.0, 1.5])
"""Standard deviations of the prior around the region's curve: ln A, μ, ln σ, t0 / s, ln B."""
_STEPS = 30
_FEWEST_FRAMES = 8
_FRACTIONS = (0.0, 0.1, 0.2, 0.35, 0.5)
"""Shares tried; no more than half, for a slow wash-out can pass for recirculation."""
_DELAYS_S = (10.0, 18.0, 28.0)
_DECAY_S = 180.0
_TOLERATED = 0.05
"""Share of a pixel's peak below which a misfit does not count."""
_SHAPES = ((_DECAY_S, 1.0), (0.0, 1.5), (0.0, 3.0))
"""Decay of a pool, or slowness of a second pass."""
_PROBE = 256
"""Pixels that decide on recirculation."""
_CONVINCING = 10.0
"""Fall of the deviance, over the dispersion, that recirculation must bring."""


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
    dispersion: float
    """How many times slower than the first pass the second one is."""
    mu: float
    sigma: float
    t0_s: float

    def per_area(self, times_s: Floats) -> Floats:
        """Echo power at ``times_s`` for a first pass of area 1."""
        if not self.decay_s:
            slower = self.mu + np.log(self.dispersion)
            return lognormal(times_s, self.fraction, slower, self.sigma, self.t0_s + self.delay_s)
        return recirculation(
            times_s, 1.0, self.mu, self.sigma, self.t0_s,
            fraction=self.fraction, delay_s=self.delay_s, decay_s=self.decay_s,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Fitted curves of N pixels: ``m(t) = A (f(t − t0; μ, σ) + r(t)) + B``.

    Attributes
    ----------
    log_auc, mu, log_sigma, t0_s, baseline : ndarray of float64, shape (N,)
        ln A (A in echo power × s), μ, ln σ, t0 in s, B in echo power. Always finite.
    covariance : ndarray of float64, shape (N, 5, 5)
        Of (ln A, μ, ln σ, t0, ln B): inverse Fisher information, scaled by the pixel's own
        dispersion, at least the region's.
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


def _objective(theta: Floats, times: Floats, extra: Floats, total: Floats, count: Floats) -> float:
    model = curves(theta, times, extra)[1]
    return float((count * np.log(model) + total / model).sum())


def _shape(
    region: Floats, fraction: float, delay_s: float, decay_s: float, dispersion: float
) -> Recirculation:
    return Recirculation(
        fraction=fraction,
        delay_s=delay_s,
        decay_s=decay_s,
        dispersion=dispersion,
        mu=float(region[1]),
        sigma=float(np.exp(region[2])),
        t0_s=float(region[3]),
    )


def _probe(total: Floats) -> NDArray[np.int64]:
    """Pixels at evenly spaced ranks of the brighter half."""
    order = np.argsort(total.sum(axis=1), kind="stable")[total.shape[0] // 2 :]
    chosen = np.linspace(0, order.size - 1, min(_PROBE, order.size)).astype(np.int64)
    return np.asarray(order[chosen])


def _choose_recirculation(
    times: Floats, total: Floats, count: Floats, region: Floats
) -> Recirculation:
    """Take the share and delay that lower a sample of pixels' deviance most, if convincingly."""
    probe = _probe(total)
    total, count = total[probe], count[probe]
    none = np.zeros_like(times)
    theta = dictionary_start(times, none, total, count, region)
    found: list[tuple[float, Recirculation]] = []
    for (decay_s, dispersion), delay_s in product(_SHAPES, _DELAYS_S):
        for fraction in _FRACTIONS if not found else _FRACTIONS[1:]:
            candidate = _shape(region, fraction, delay_s, decay_s, dispersion)
            extra = candidate.per_area(times)
            theta, _, _ = maximise(theta, times, extra, total, count, region, _SPREAD**-2.0, _STEPS)
            found.append((_objective(theta, times, extra, total, count), candidate))
    plain, best = found[0], min(found, key=lambda pair: pair[0])
    dispersion = _dispersion(theta, times, none, total, count, np.zeros(len(total)))
    fall = 2 * (plain[0] - best[0]) / max(float(np.median(dispersion)), 1e-9)
    return best[1] if fall > _CONVINCING else plain[1]


def _dispersion(
    theta: Floats, times: Floats, extra: Floats, total: Floats, count: Floats, lift: Floats
) -> Floats:
    """Pearson's dispersion of each pixel: 1 for the speckle that the weights assume.

    Speckle makes the power vary in proportion to what was there before it was lifted.
    """
    model = curves(theta, times, extra)[1]
    ratio = np.divide(total, count, out=model.copy(), where=count > 0) / model
    share = np.clip(1 - lift[:, np.newaxis] / model, 1e-3, 1.0) ** 2 * (count > 0)
    used = np.maximum((count > 0).sum(axis=1), 1)
    free = np.maximum(share.sum(axis=1) * (1 - SIZE / np.maximum(used, SIZE + 1)), 1e-3)
    return np.asarray((count * (ratio - 1) ** 2).sum(axis=1) / free)


def _typical(dispersion: Floats, log_auc: Floats, failed: NDArray[np.bool_]) -> float:
    """Median of the brighter half: black pixels, which have no speckle, do not set the scale."""
    usable = ~failed
    if not usable.any():
        return 1.0
    brighter = usable & (log_auc >= np.median(log_auc[usable]))
    return max(float(np.median(dispersion[brighter])), 1e-9)


def _covariance(fisher: Floats, dispersion: Floats) -> Floats:
    prior = np.diag(_SPREAD**-2.0)
    return np.asarray(np.linalg.inv((fisher - prior) / dispersion[:, None, None] + prior))


def _nothing(times_s: Floats, pixels: int) -> Fit:
    """Every pixel failed: there was no echo power anywhere."""
    middle = float(np.clip(np.log(np.ptp(times_s) / 4), LOWER[1], UPPER[1]))
    return Fit(
        log_auc=np.full(pixels, LOWER[0]), mu=np.full(pixels, middle),
        log_sigma=np.full(pixels, np.log(0.7)), t0_s=np.full(pixels, times_s[0]),
        baseline=np.zeros(pixels), covariance=np.tile(np.diag(_SPREAD**2), (pixels, 1, 1)),
        qof=np.zeros(pixels), failed=np.ones(pixels, bool), dispersion=1.0,
        recirculation=Recirculation(
            fraction=0.0, delay_s=0.0, decay_s=_DECAY_S, dispersion=1.0, mu=middle, sigma=0.7,
            t0_s=float(times_s[0]),
        ),
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
    Recirculation has the region's shape (:func:`~dicomnode.science.kinetics.recirculation`); its
    share and delay are chosen by the deviance of a sample of pixels.

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
    shared = _choose_recirculation(times, total, count, region)
    extra = shared.per_area(times)
    start = dictionary_start(times, extra, total, count, region)
    theta, fisher, evaluations = maximise(
        start, times, extra, total, count, region, _SPREAD**-2.0, _STEPS
    )
    theta[failed] = region
    dispersion = _dispersion(theta, times, extra, total, count, lift)
    typical = _typical(dispersion, theta[:, 0], failed)
    noise = np.maximum(dispersion, typical)
    qof = np.where(failed, 0.0, typical / noise)
    return Fit(
        log_auc=theta[:, 0] + np.log(level), mu=theta[:, 1], log_sigma=theta[:, 2],
        t0_s=theta[:, 3], baseline=np.maximum(np.exp(theta[:, 4]) - lift, 0.0) * level,
        covariance=_covariance(fisher, noise), qof=qof, failed=failed,
        dispersion=typical, recirculation=shared, evaluations=evaluations,
    )  # fmt: skip


def predict(fit: Fit, times_s: Floats) -> Floats:
    """Fitted echo power, shape (T, N), at ``times_s`` (T,) in seconds."""
    theta = np.stack(
        [fit.log_auc, fit.mu, fit.log_sigma, fit.t0_s, np.log(np.maximum(fit.baseline, 1e-300))],
        axis=1,
    )
    times_s = np.asarray(times_s, np.float64)
    return curves(theta, times_s, fit.recirculation.per_area(times_s))[1].T
