"""The parameters of fitted curves, in closed form, as they are and against reference tissue."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.kinetics.form import CurveForm
from dicomnode.science.kinetics.parameters import PARAMETERS
from dicomnode.science.kinetics.shapes import Family

__all__ = ["FittedCurves", "arrivals", "curve_parameters", "evaluate", "relative"]

Floats = NDArray[np.float64]


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
    form = CurveForm(
        family=family,
        peak=np.exp(log_pe),
        tp_s=np.exp(log_tp),
        curvature=np.exp(log_curvature),
    )
    return {one.name: one.of(form) for one in PARAMETERS if one.of is not None}


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
