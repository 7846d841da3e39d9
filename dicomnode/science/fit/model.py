"""The model of one pixel's samples, its likelihood and its slopes, for many pixels at once.

The five parameters of a pixel are, in this order, ln PE, ln tp, ln s, t0 / s and ln B:

    m(t) = PE exp g(u) + A r(t) + B,    u = ln((t − t0) / tp),

g a :class:`~dicomnode.science.kinetics.shapes.Family` of curvature s, r what comes round again of a
first pass of unit area, and A = PE tp √(2π/s) exp(1/2s) the area of a lognormal of that peak and
curvature, which stands for the area in every family. A pixel's r follows its own first pass, to
first order: the region's r and its change with ln tp, ln s and t0.

Minimised is Σ (w ln(m + l) + (S + w l)/(m + l)) + ½ (θ − θ₀)ᵀ P (θ − θ₀): the gamma log-likelihood
of bins with power sum S and sample count w, each sample lifted by l, and a weak normal prior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.kinetics.shapes import Family, lognormal_area

__all__ = ["SIZE", "Problem", "Recirculated", "curves", "limits", "nothing_again"]

Floats = NDArray[np.float64]

SIZE = 5
"""Parameters per pixel."""
_SOONEST_S = 1e-3
"""Time after arrival from which on there is agent: keeps ln x and 1/x within single precision."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recirculated:
    """What comes round again of first passes of unit area, near that of the region.

    Attributes
    ----------
    around : ndarray, shape (3,)
        ln tp, ln s and t0 of the region's first pass.
    curves : ndarray, shape (4, K)
        r(t) per second there, and its derivatives in ln tp, ln s and t0.
    """

    around: Floats
    curves: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """What all pixels share.

    Attributes
    ----------
    times_s : ndarray, shape (K,)
    again : Recirculated
    family : Family
    centre, precision : ndarray, shape (5,), (5, 5)
        Of the prior.
    """

    times_s: Floats
    again: "Recirculated"
    family: Family
    centre: Floats
    precision: Floats


def nothing_again(times_s: Floats) -> Recirculated:
    """No recirculation at (K,) times."""
    return Recirculated(around=np.zeros(3), curves=np.zeros((4, len(times_s))))


def limits(family: Family) -> tuple[Floats, Floats]:
    """Least and most of each parameter; amplitudes are in units of the region's mean power."""
    lower = np.array([-30.0, np.log(0.2), np.log(family.least), -1e4, -30.0])
    upper = np.array([30.0, np.log(500.0), np.log(family.most), 1e4, 30.0])
    return lower, upper


def curves(theta: Floats, problem: Problem) -> tuple[Floats, tuple[Floats, ...]]:
    """Model m (N, K) of parameters (N, 5), and its derivative in each, five of shape (N, K)."""
    peak, log_tp, curvature = np.exp(theta[:, :1]), theta[:, 1:2], np.exp(theta[:, 2:3])
    since = problem.times_s - theta[:, 3:4]
    arrived = since > _SOONEST_S
    x = np.where(arrived, since, 1.0)
    u = np.where(arrived, np.log(x) - log_tp, 0.0)
    family = problem.family
    a, b, c, d = (start + slope * curvature for start, slope in family.coefficients)
    _, da, db, dc, dd = (0.0, *family.coefficients[:, 1])
    late, early = np.exp(u) - 1, np.exp(-u) - 1
    bolus = peak * np.exp(a * u * u + b * u + c * late + d * early) * arrived
    rise = bolus * (2 * a * u + b + c * (late + 1) - d * (early + 1))
    bend = bolus * curvature * (da * u * u + db * u + dc * late + dd * early)
    own = problem.again.curves
    recirculated = own[0] + (theta[:, 1:4] - problem.again.around) @ own[1:]
    area = peak * np.exp(log_tp) * lognormal_area(curvature) * (recirculated > 0)
    again = area * recirculated
    base = np.broadcast_to(np.exp(theta[:, 4:5]), bolus.shape)
    slopes = (
        bolus + again,
        again + area * own[1] - rise,
        bend + area * own[2] - again * (0.5 + 0.5 / curvature),
        area * own[3] - rise / x,
        base,
    )
    return bolus + again + base, slopes
