"""The parameters of fitted curves, in closed form, as they are and against reference tissue."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.kinetics.parameters import PARAMETERS
from dicomnode.science.kinetics.shapes import Family

__all__ = ["FittedCurves", "arrivals", "curve_parameters", "evaluate", "relative"]

Floats = NDArray[np.float64]

_WASH_OUT_S = 50.0
_EARLIEST = 1e-9
"""Share of the time to peak that stands for "at arrival"."""


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


def evaluate(fit: FittedCurves, arrival_s: float) -> dict[str, Floats]:
    """All of :data:`PARAMETERS` of every fitted curve, each an ndarray of float64, shape (N,).

    Parameters
    ----------
    fit : FittedCurves
    arrival_s : float
        Of the region as a whole, on the clock of the fit: time to peak counts from here. A single
        pixel's own onset is known too poorly for that.
    """
    curve = curve_parameters(fit.family, fit.log_pe, fit.log_tp, fit.log_curvature)
    peak_s = fit.t0_s + np.exp(fit.log_tp)
    return {**curve, "TTP": peak_s - arrival_s, "QOF": fit.qof, "arrival": peak_s - curve["RT"]}


def arrivals(fit: FittedCurves) -> Floats:
    """When each fitted curve's steepest rising tangent leaves the baseline: s, shape (N,)."""
    return evaluate(fit, 0.0)["arrival"]


def curve_parameters(
    family: Family, log_pe: Floats, log_tp: Floats, log_curvature: Floats
) -> dict[str, Floats]:
    """Give what the form of a curve alone says, by the names of :data:`PARAMETERS`.

    Parameters
    ----------
    family : Family
    log_pe, log_tp, log_curvature : ndarray of float64
        ln PE, ln(tp / s) and ln s as in :mod:`dicomnode.science.kinetics.shapes`, all of one shape.
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
        Ratios (unit 1; NaN where the reference is 0) and differences (s). QOF and WO50 have no
        relative form and are left out.
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
