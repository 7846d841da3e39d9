"""Bolus kinetics: the curve models, and the parameters of a fitted curve in closed form."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, ndtr

from dicomnode.science.parameters import PARAMETERS, Parameter
from dicomnode.science.shapes import FAMILIES, Family

__all__ = [
    "FAMILIES",
    "PARAMETERS",
    "Family",
    "FittedCurves",
    "Parameter",
    "curve_parameters",
    "evaluate",
    "fpt",
    "gamma_variate",
    "ldrw",
    "lognormal",
    "recirculation",
    "relative",
]

Floats = NDArray[np.float64]

_WASH_OUT_S = 50.0
_EARLIEST = 1e-9
"""Share of the time to peak that stands for "at arrival"."""


def _since(t_s: ArrayLike, t0_s: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Seconds since arrival, replaced by 1 where the bolus has not arrived, and where it has."""
    x = np.asarray(t_s, np.float64) - np.asarray(t0_s, np.float64)
    arrived = x > 0
    return np.where(arrived, x, 1.0), arrived


def lognormal(
    t_s: ArrayLike, auc: ArrayLike, mu: ArrayLike, sigma: ArrayLike, t0_s: ArrayLike = 0.0
) -> Floats:
    """Lognormal bolus: ``auc / (√(2π) σ x) · exp(−(ln x − μ)² / 2σ²)`` with ``x = t − t0``.

    Parameters
    ----------
    t_s : array_like
        Seconds.
    auc : array_like
        Area under the curve, echo power × s.
    mu, sigma : array_like
        Mean and standard deviation of ln(x / s).
    t0_s : array_like
        Arrival; the curve is 0 before it.

    Returns
    -------
    ndarray of float64
        Echo power above baseline, in the broadcast shape. Mean transit time e^(μ+σ²/2), peak at
        e^(μ−σ²).

    References
    ----------
    Strouthos et al., IEEE UFFC 2010;57:1296, doi:10.1109/TUFFC.2010.1550.
    """
    x, arrived = _since(t_s, t0_s)
    sigma = np.asarray(sigma, np.float64)
    z = (np.log(x) - np.asarray(mu)) / sigma
    curve = np.asarray(auc) * np.exp(-0.5 * z * z) / (np.sqrt(2 * np.pi) * sigma * x)
    return np.asarray(np.where(arrived, curve, 0.0))


def ldrw(
    t_s: ArrayLike, auc: ArrayLike, mtt_s: ArrayLike, lam: ArrayLike, t0_s: ArrayLike = 0.0
) -> Floats:
    """Local density random walk: ``auc √(λ/(2π m x)) · exp(λ − λ/2 (x/m + m/x))``, m = ``mtt_s``.

    ``mtt_s`` is the first-passage transit time m; the curve's own mean is m (1 + 1/λ). ``lam`` is
    the skewness parameter λ (half the Péclet number). Other parameters as in :func:`lognormal`.
    """
    x, arrived = _since(t_s, t0_s)
    m, lam = np.asarray(mtt_s, np.float64), np.asarray(lam, np.float64)
    shape = np.exp(lam - 0.5 * lam * (x / m + m / x))
    curve = np.asarray(auc) * np.sqrt(lam / (2 * np.pi * m * x)) * shape
    return np.asarray(np.where(arrived, curve, 0.0))


def fpt(
    t_s: ArrayLike, auc: ArrayLike, mtt_s: ArrayLike, lam: ArrayLike, t0_s: ArrayLike = 0.0
) -> Floats:
    """First passage time: ``auc √(λ m/(2π x³)) · exp(λ − λ/2 (x/m + m/x))``, m = ``mtt_s``.

    The inverse Gaussian distribution with mean m and shape λm. Other parameters as in :func:`ldrw`.
    """
    x, arrived = _since(t_s, t0_s)
    m, lam = np.asarray(mtt_s, np.float64), np.asarray(lam, np.float64)
    shape = np.exp(lam - 0.5 * lam * (x / m + m / x))
    curve = np.asarray(auc) * np.sqrt(lam * m / (2 * np.pi * x**3)) * shape
    return np.asarray(np.where(arrived, curve, 0.0))


def gamma_variate(
    t_s: ArrayLike, auc: ArrayLike, alpha: ArrayLike, beta_s: ArrayLike, t0_s: ArrayLike = 0.0
) -> Floats:
    """Gamma variate: ``auc x^α e^(−x/β) / (β^(α+1) Γ(α+1))``; peak at αβ, mean (α+1)β."""
    x, arrived = _since(t_s, t0_s)
    alpha, beta_s = np.asarray(alpha, np.float64), np.asarray(beta_s, np.float64)
    log_curve = alpha * np.log(x) - x / beta_s - (alpha + 1) * np.log(beta_s) - gammaln(alpha + 1)
    return np.asarray(np.where(arrived, np.asarray(auc) * np.exp(log_curve), 0.0))


def recirculation(
    t_s: ArrayLike,
    auc: ArrayLike,
    mu: ArrayLike,
    sigma: ArrayLike,
    t0_s: ArrayLike = 0.0,
    *,
    fraction: ArrayLike,
    delay_s: ArrayLike,
    decay_s: ArrayLike,
) -> Floats:
    """Agent that comes round again, well mixed: the delayed first pass fills a pool that decays.

    ``fraction · auc / decay · Φ((ln y − μ)/σ) · exp(−y/decay)`` with ``y = t − t0 − delay``, where
    auc, μ, σ and t0 describe the lognormal first pass. Its area tends to ``fraction · auc`` as
    ``decay_s`` grows long against the first pass.
    """
    y, arrived = _since(t_s, np.asarray(t0_s) + np.asarray(delay_s))
    filled = ndtr((np.log(y) - np.asarray(mu)) / np.asarray(sigma))
    decay = np.asarray(decay_s, np.float64)
    curve = np.asarray(fraction) * np.asarray(auc) / decay * filled * np.exp(-y / decay)
    return np.asarray(np.where(arrived, curve, 0.0))


class FittedCurves(Protocol):
    """What :func:`evaluate` needs of a fit; :class:`dicomnode.science.fit.Fit` has it."""

    @property
    def family(self) -> Family: ...  # noqa: D102
    @property
    def log_pe(self) -> Floats: ...  # noqa: D102
    @property
    def log_tp(self) -> Floats: ...  # noqa: D102
    @property
    def log_curvature(self) -> Floats: ...  # noqa: D102
    @property
    def t0_s(self) -> Floats: ...  # noqa: D102
    @property
    def qof(self) -> Floats: ...  # noqa: D102


def evaluate(fit: FittedCurves) -> dict[str, Floats]:
    """All of :data:`PARAMETERS` of every fitted curve, each an ndarray of float64, shape (N,)."""
    curve = curve_parameters(fit.family, fit.log_pe, fit.log_tp, fit.log_curvature)
    arrival_s = fit.t0_s + curve["TTP"] - curve["RT"]
    return {**curve, "QOF": fit.qof, "arrival": arrival_s}


def curve_parameters(
    family: Family, log_pe: Floats, log_tp: Floats, log_curvature: Floats
) -> dict[str, Floats]:
    """Give all parameters of curves of one family, by the names of :data:`PARAMETERS`.

    Parameters
    ----------
    family : Family
    log_pe, log_tp, log_curvature : ndarray of float64
        ln PE, ln(tp / s) and ln s as in :mod:`dicomnode.science.shapes`, all of one shape.
    """
    peak, tp, curvature = np.exp(log_pe), np.exp(log_tp), np.exp(log_curvature)
    auc = peak * tp * family.area(curvature)
    heights, times, slopes, shares = [], [], [], []
    for u in family.steepest(curvature):
        slope, height = family.slopes(u, curvature)[0], family.log_height(u, curvature)
        tangent = np.exp(u) * (1 - 1 / slope)
        heights.append(peak * np.exp(height))
        slopes.append(slope / (tp * np.exp(u)))
        times.append(tp * tangent)
        shares.append(family.share(curvature, np.maximum(tangent, _EARLIEST)))
    share_peak = family.share(curvature, np.ones_like(curvature))
    rise, wash_in, wash_out = tp - times[0], share_peak - shares[0], shares[1] - share_peak
    return {
        "PE": peak,
        "TTP": tp,
        "mTT": tp * family.mean(curvature),
        "WiAUC": auc * wash_in,
        "RT": rise,
        "WiR": slopes[0] * heights[0],
        "WiPI": auc * wash_in / rise,
        "WoAUC": auc * wash_out,
        "WiWoAUC": auc * (wash_in + wash_out),
        "FT": times[1] - tp,
        "WoR": -slopes[1] * heights[1],
        "WO50": _washed_out(family, tp, times[0] + _WASH_OUT_S, curvature),
    }


def _washed_out(family: Family, tp: Floats, at: Floats, curvature: Floats) -> Floats:
    """Share of the peak that is gone at ``at`` s after the onset; 0 before the peak."""
    late = np.log(np.maximum(at / tp, 1.0))
    return np.asarray(-np.expm1(family.log_height(late, curvature)))


def relative(parameters: Mapping[str, Floats], tissue: Mapping[str, Floats]) -> dict[str, Floats]:
    """Parameters set against reference tissue: amplitudes as a ratio, times as a difference.

    Parameters
    ----------
    parameters : mapping of name to ndarray
        Values by the names of :data:`PARAMETERS`.
    tissue : mapping of name to ndarray
        The same of the reference tissue, of any size; its median is the reference.

    Returns
    -------
    dict of name to ndarray
        Ratios (unit 1; NaN where the reference is 0) and differences (s). QOF has no relative form
        and is left out.
    """
    related = {}
    for parameter in PARAMETERS:
        if parameter.relation == "none" or parameter.name not in parameters:
            continue
        value, reference = parameters[parameter.name], float(np.median(tissue[parameter.name]))
        if parameter.relation == "difference":
            related[parameter.name] = value - reference
        else:
            related[parameter.name] = value / (reference if reference > 0 else np.nan)
    return related
