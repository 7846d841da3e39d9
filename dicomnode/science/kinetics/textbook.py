"""The curve models of the literature in the literature's parameters."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, log_ndtr

__all__ = ["fpt", "gamma_variate", "lagged_normal", "ldrw", "lognormal"]

Floats = NDArray[np.float64]


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


def lagged_normal(
    t_s: ArrayLike, auc: ArrayLike, mu_s: ArrayLike, sigma_s: ArrayLike, lag_s: ArrayLike,
    t0_s: ArrayLike = 0.0,
) -> Floats:  # fmt: skip
    """Lagged normal: a normal density (``mu_s``, ``sigma_s``) convolved with ``e^(−x/lag)/lag``.

    ``auc/lag · exp(σ²/2 lag² − (x − μ)/lag) · Φ((x − μ)/σ − σ/lag)``, mean μ + lag. Not 0
    before x = 0, but low where μ is some σ. Other parameters as in :func:`lognormal`.
    """
    since = np.asarray(t_s, np.float64) - np.asarray(t0_s, np.float64) - np.asarray(mu_s)
    sigma_s, lag_s = np.asarray(sigma_s, np.float64), np.asarray(lag_s, np.float64)
    log_curve = 0.5 * (sigma_s / lag_s) ** 2 - since / lag_s
    log_curve += log_ndtr(since / sigma_s - sigma_s / lag_s)
    return np.asarray(np.asarray(auc) / lag_s * np.exp(log_curve))
