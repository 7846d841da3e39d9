"""A bolus for every pixel, under the gamma likelihood that speckle calls for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import in_parallel
from dicomnode.science.curves import Binned, bin_power, bin_times, is_power, wash_in
from dicomnode.science.fit.model import SIZE, Problem, curves
from dicomnode.science.fit.noise import covariance, typical
from dicomnode.science.fit.prior import SPREAD
from dicomnode.science.fit.recirculation import Recirculation, no_recirculation
from dicomnode.science.fit.region import Fitted, Region, blocks
from dicomnode.science.kinetics.shapes import LOGNORMAL, Family
from dicomnode.science.limits import FEWEST_FRAMES

__all__ = ["Fit", "fit_binned", "fit_curves", "fit_means", "predict", "sensitivities"]

Floats = NDArray[np.float64]

_MEAN_LOOKS = 50.0
"""Independent looks in a sample of a region's mean curve: many, and not worth counting."""
_LEAST_POWER, _FEWEST_COUNTED = 1e-30, 1e-6
"""Mean power and number of samples per pixel that count as none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Fitted curves of N pixels: ``m(t) = PE exp g(ln((t − t0)/tp); s) + A r(t) + B``.

    Attributes
    ----------
    family : Family
        Of the curves: what g is.
    log_pe, log_tp, log_curvature, t0_s, baseline : ndarray of float64, shape (N,)
        ln PE (PE in echo power), ln(tp / s), ln s, t0 in s, B in echo power. Always finite.
    covariance : ndarray of float64, shape (N, 5, 5)
        Of (ln PE, ln tp, ln s, t0, ln B): the sandwich of what the samples weigh and how much they
        vary, scaled by the pixel's own dispersion, at least the region's.
    qof : ndarray of float64, shape (N,)
        Quality of fit, 0 to 1; see :data:`dicomnode.science.kinetics.PARAMETERS`.
    failed : ndarray of bool, shape (N,)
        Too few usable samples: the values are the region's and mean nothing.
    dispersion : float
        Residual variance over that of ``looks``-look speckle, the median of the brighter half.
    recirculation : Recirculation
        Shared.
    deviances : mapping of name to float
        Of each family tried, above that of the chosen one, in units of the dispersion; a family
        that is better than the lognormal by chance only counts as equal to it. None where the
        family was given.
    evaluations : ndarray of int64, shape (N,)
        Model evaluations spent.
    """

    family: Family
    log_pe: Floats
    log_tp: Floats
    log_curvature: Floats
    t0_s: Floats
    baseline: Floats
    covariance: Floats
    qof: Floats
    failed: NDArray[np.bool_]
    dispersion: float
    recirculation: Recirculation
    deviances: Mapping[str, float]
    evaluations: NDArray[np.int64]


def fit_curves(
    power: NDArray[np.floating], times_s: Floats, *, kept: NDArray[np.bool_] | None = None,
    saturated: NDArray[np.floating] | NDArray[np.bool_] | None = None, looks: float = 1.0,
    bins: int = 64, like: Fit | None = None,
) -> Fit:  # fmt: skip
    """Bin samples in time and fit a bolus to each pixel.

    Parameters
    ----------
    power : ndarray, shape (T, N)
        Echo power. Samples that are no power (NaN, negative, beyond 10³⁰) count as absent.
    times_s : ndarray, shape (T,)
        Strictly increasing seconds.
    kept : ndarray of bool, shape (T,), optional
        Frames to use.
    saturated : ndarray, shape (T, N), optional
        Share of each sample that was at the top of the grey scale (bool, or 0 to 1 after
        smoothing). Censored exactly for single-look samples, approximately for others.
    looks, like
        As in :func:`fit_binned`.
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
    """
    times_s = np.asarray(times_s, np.float64)
    _check(power, times_s, kept)
    if saturated is not None and saturated.shape != power.shape:
        raise ValueError(f"saturated: expected shape {power.shape}, got {saturated.shape}")
    if saturated is not None and not ((saturated >= 0) & (saturated <= 1)).all():
        raise ValueError("saturated: expected shares of 0 to 1, got others")
    uncensored = None if saturated is None else 1 - np.asarray(saturated, np.float32)
    groups = bin_times(times_s, bins, kept=kept, wash_in_s=wash_in(_mean(power, kept), times_s))
    return fit_binned(bin_power(power, groups, uncensored=uncensored), looks=looks, like=like)


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
    if used < FEWEST_FRAMES:
        raise ValueError(f"power: expected at least {FEWEST_FRAMES} usable frames, got {used}")


def _mean(power: NDArray[np.floating], kept: NDArray[np.bool_] | None) -> Floats:
    """Mean over the pixels of each frame; NaN where there is none."""
    usable = is_power(power)
    pixels = usable.sum(axis=1)
    mean = np.where(usable, power, 0).sum(axis=1, dtype=np.float64) / np.maximum(pixels, 1)
    mean[pixels == 0] = np.nan
    if kept is not None:
        mean[~kept] = np.nan
    return np.asarray(mean)


def fit_means(
    powers: NDArray[np.floating], times_s: Floats, *, kept: NDArray[np.bool_] | None = None,
    like: Fit,
) -> Fit:  # fmt: skip
    """Fit a lognormal to each of a few regions' mean curves (T, N), as :func:`fit_curves` does.

    The mean of many curves is wider than any of them and no longer of their family; whatever that
    is, a lognormal follows it best. What comes round again is taken from the pixels, ``like``.
    """
    wide = replace(like, family=LOGNORMAL)
    return fit_curves(powers, times_s, kept=kept, looks=_MEAN_LOOKS, like=wide)


def fit_binned(binned: Binned, *, looks: float = 1.0, like: Fit | None = None) -> Fit:
    """Fit a bolus to each pixel of binned samples.

    Parameters
    ----------
    binned : Binned
        N > 0 pixels.
    looks : float
        Independent looks of a sample, against the prior; the error bars are scaled by the
        dispersion that is found, whatever is said here.
    like : Fit, optional
        Of other pixels of the same exam, on the same clock: its family and its recirculation are
        taken instead of chosen.

    Notes
    -----
    The prior makes the estimate of a pixel without enhancement the region's timing with a large
    covariance, rather than an arbitrary one.
    """
    if not (np.isfinite(looks) and looks > 0):
        raise ValueError(f"looks: expected a positive number, got {looks}")
    if binned.total.ndim != 2 or binned.total.shape[1] == 0:
        raise ValueError(
            f"binned: expected sums of shape (bins, pixels), pixels > 0, got {binned.total.shape}"
        )
    if binned.times_s.shape != binned.total.shape[:1]:
        raise ValueError(
            f"binned: expected times_s of shape ({binned.total.shape[0]},), one per bin, "
            f"got {binned.times_s.shape}"
        )
    if len(binned.times_s) < FEWEST_FRAMES:
        raise ValueError(
            f"binned: expected at least {FEWEST_FRAMES} bins, got {len(binned.times_s)}"
        )
    mean = binned.mean()
    power, counted = float(mean.total.sum()), float(mean.count.sum())
    if counted < _FEWEST_COUNTED or not power > _LEAST_POWER * counted:
        return _nothing(binned)
    region, start_s = Region(binned, mean, looks), float(binned.times_s[0])
    given = None if like is None else (like.family, _later(like.recirculation, -start_s))
    return _assembled(region.fit(given), np.log(region.level), start_s)


def _later(recirculation: Recirculation, seconds: float) -> Recirculation:
    return replace(recirculation, t0_s=recirculation.t0_s + seconds)


def _assembled(fitted: Fitted, log_level: float, start_s: float) -> Fit:
    """The fit in echo power and on the clock of its samples."""
    choice, theta, failed = fitted.choice, fitted.theta, fitted.failed
    usual = typical(fitted.scatter, theta[:, 0], failed)
    noise = np.maximum(fitted.scatter, usual)
    errors = np.empty(fitted.information.shape)

    def judge(some: slice) -> None:
        errors[some] = covariance(
            fitted.information[some], fitted.varying[some], noise[some], fitted.precision
        )

    in_parallel(judge, blocks(len(theta)))
    return Fit(
        family=choice.family,
        log_pe=theta[:, 0] + log_level,
        log_tp=theta[:, 1],
        log_curvature=theta[:, 2],
        t0_s=theta[:, 3] + start_s,
        baseline=np.exp(theta[:, 4] + log_level),
        covariance=errors,
        qof=np.where(failed, 0.0, usual / noise),
        failed=failed,
        dispersion=usual,
        recirculation=_later(choice.recirculation, start_s),
        deviances=choice.deviances,
        evaluations=fitted.evaluations,
    )


def _nothing(binned: Binned) -> Fit:
    """Every pixel failed: there was no echo power anywhere."""
    pixels = binned.total.shape[1]
    curve = np.array([-30.0, np.log(10.0), np.log(2.0), binned.times_s[0], -30.0])
    theta = np.tile(curve, (pixels, 1))
    return Fit(
        family=LOGNORMAL, log_pe=theta[:, 0], log_tp=theta[:, 1], log_curvature=theta[:, 2],
        t0_s=theta[:, 3], baseline=np.zeros(pixels),
        covariance=np.tile(np.diag(SPREAD**2), (pixels, 1, 1)), qof=np.zeros(pixels),
        failed=np.ones(pixels, np.bool_), dispersion=1.0,
        recirculation=no_recirculation(LOGNORMAL, curve), deviances={LOGNORMAL.name: 0.0},
        evaluations=np.zeros(pixels, np.int64),
    )  # fmt: skip


def predict(fit: Fit, times_s: Floats) -> Floats:
    """Fitted echo power, shape (T, N), at ``times_s`` (T,) in seconds."""
    return _at(fit, times_s)[0].T


def sensitivities(fit: Fit, times_s: Floats) -> tuple[Floats, Floats]:
    """Fitted echo power (T, N), and its derivatives (T, N, 5) in ln PE, ln tp, ln s, t0 and ln B.

    Parameters
    ----------
    fit : Fit
    times_s : ndarray, shape (T,)
        Seconds.
    """
    model, slopes = _at(fit, times_s)
    return model.T, np.stack([slope.T for slope in slopes], axis=-1)


def _at(fit: Fit, times_s: Floats) -> tuple[Floats, tuple[Floats, ...]]:
    times_s = np.asarray(times_s, np.float64)
    theta = np.stack(
        [fit.log_pe, fit.log_tp, fit.log_curvature, fit.t0_s,
         np.log(np.maximum(fit.baseline, 1e-300))], axis=1,
    )  # fmt: skip
    problem = Problem(
        times_s=times_s, again=fit.recirculation.of(times_s), family=fit.family,
        centre=np.zeros(SIZE), precision=np.eye(SIZE),
    )  # fmt: skip
    return curves(theta, problem)
