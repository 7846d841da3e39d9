"""The table of kinetic parameters: name, unit, definition, equation, source and DICOM code."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.kinetics.form import CurveForm

__all__ = ["PARAMETERS", "Parameter"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One kinetic parameter: what it is, how it is computed and how DICOM calls it."""

    name: str
    unit: str
    """UCUM."""
    definition: str
    equation: str
    """In x = t − t0, u = ln(x/tp) and g of :mod:`dicomnode.science.kinetics.shapes`; A the area,
    F its share before x. The closed form for the lognormal is given where it is another one."""
    source: str
    code: tuple[str, str, str]
    """Code value, coding scheme designator, code meaning."""
    relation: Literal["ratio", "difference", "none"] = "ratio"
    """How it is set against reference tissue: "ratio", "difference" or "none"."""
    of: Callable[[CurveForm], NDArray[np.float64]] | None = None
    """Its value where the form of the curve alone gives it; None where the clock or the residuals
    are needed (:func:`dicomnode.science.kinetics.evaluate`)."""


_VUEBOX = "parameter set in use for CEUS quantification; closed form per family of curves"
_TEXTBOOK = "Strouthos et al. 2010, doi:10.1109/TUFFC.2010.1550"
_PRIVATE = "99DICOMNODE"
_WASH_OUT_S = 50.0


def _wash_in(form: CurveForm) -> NDArray[np.float64]:
    return form.area * (form.share_at_peak - form.rise.share)


def _wash_out(form: CurveForm) -> NDArray[np.float64]:
    return form.area * (form.fall.share - form.share_at_peak)


def _both(form: CurveForm) -> NDArray[np.float64]:
    in_and_out = (form.share_at_peak - form.rise.share) + (form.fall.share - form.share_at_peak)
    return form.area * in_and_out


def _rise_s(form: CurveForm) -> NDArray[np.float64]:
    return form.tp_s - form.rise.base_s


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        name="PE",
        unit="{a.u.}",
        definition="Peak enhancement: highest echo power above baseline",
        equation="PE; lognormal: A exp(σ²/2 − μ) / (√(2π) σ)",
        source=_VUEBOX,
        code=("PE", _PRIVATE, "Peak Enhancement"),
        of=lambda form: form.peak,
    ),
    Parameter(
        name="TTP",
        unit="s",
        definition="Time to peak: from the arrival of the bolus in the lesion as a whole (of its "
        "mean curve, as below) to the curve's own peak enhancement",
        equation="t0 + tp − arrival of the lesion's mean curve; lognormal: tp = exp(μ − σ²)",
        source=_VUEBOX,
        code=("113069", "DCM", "Time To Peak"),
        relation="difference",
    ),
    Parameter(
        name="mTT",
        unit="s",
        definition="Local mean transit time: from the onset of the fitted curve to its centre of "
        "mass",
        equation="lognormal: exp(μ + σ²/2); gamma variate: tp (1 + 1/s); LDRW: m (1 + 1/λ); FPT: m",
        source=_TEXTBOOK,
        code=("113052", "DCM", "Mean Transit Time"),
        relation="difference",
        of=lambda form: form.mean_s,
    ),
    Parameter(
        name="WiAUC",
        unit="{a.u.}.s",
        definition="Wash-in area: under the curve from tI, where the steepest rising tangent "
        "leaves the baseline, to the peak",
        equation="A [F(tp) − F(tI)]; lognormal: F(x) = Φ((ln x − μ)/σ)",
        source=_VUEBOX,
        code=("WIAUC", _PRIVATE, "Wash-in Area Under Curve"),
        of=_wash_in,
    ),
    Parameter(
        name="RT",
        unit="s",
        definition="Rise time: from tI to the peak",
        equation="tp − tI, tI = x₋ (1 − 1/g'(u₋))",
        source=_VUEBOX,
        code=("RT", _PRIVATE, "Rise Time"),
        relation="difference",
        of=_rise_s,
    ),
    Parameter(
        name="WiR",
        unit="{a.u.}/s",
        definition="Wash-in rate: steepest rise",
        equation="g'(u₋) f(x₋)/x₋, g''(u₋) − g'(u₋) + g'(u₋)² = 0, u₋ < 0; "
        "lognormal: u₋ = −σ² (1 + √(1 + 4/σ²))/2",
        source=_VUEBOX,
        code=("WIR", _PRIVATE, "Wash-in Rate"),
        of=lambda form: form.rise.relative_slope * form.rise.height,
    ),
    Parameter(
        name="WiPI",
        unit="{a.u.}",
        definition="Wash-in perfusion index: mean enhancement during the rise",
        equation="WiAUC / RT",
        source=_VUEBOX,
        code=("WIPI", _PRIVATE, "Wash-in Perfusion Index"),
        of=lambda form: _wash_in(form) / _rise_s(form),
    ),
    Parameter(
        name="WoAUC",
        unit="{a.u.}.s",
        definition="Wash-out area: under the curve from the peak to tO, where the steepest "
        "falling tangent reaches the baseline",
        equation="A [F(tO) − F(tp)]",
        source=_VUEBOX,
        code=("WOAUC", _PRIVATE, "Wash-out Area Under Curve"),
        of=_wash_out,
    ),
    Parameter(
        name="WiWoAUC",
        unit="{a.u.}.s",
        definition="Wash-in and wash-out area",
        equation="WiAUC + WoAUC",
        source=_VUEBOX,
        code=("WIWOAUC", _PRIVATE, "Wash-in and Wash-out AUC"),
        of=_both,
    ),
    Parameter(
        name="FT",
        unit="s",
        definition="Fall time: from the peak to tO",
        equation="tO − tp, tO = x₊ (1 − 1/g'(u₊))",
        source=_VUEBOX,
        code=("FT", _PRIVATE, "Fall Time"),
        relation="difference",
        of=lambda form: form.fall.base_s - form.tp_s,
    ),
    Parameter(
        name="WoR",
        unit="{a.u.}/s",
        definition="Wash-out rate: steepest fall, as a positive number",
        equation="−g'(u₊) f(x₊)/x₊, g''(u₊) − g'(u₊) + g'(u₊)² = 0, u₊ > 0; "
        "lognormal: u₊ = σ² (−1 + √(1 + 4/σ²))/2",
        source=_VUEBOX,
        code=("WOR", _PRIVATE, "Wash-out Rate"),
        of=lambda form: -form.fall.relative_slope * form.fall.height,
    ),
    Parameter(
        name="WO50",
        unit="1",
        definition="Wash-out at 50 s: share of peak enhancement that is gone 50 s after arrival",
        equation="1 − exp g(ln((tI + 50 s)/tp)); 0 before the peak",
        source="Acta Radiol 2012;53:382, who measured the drop at 50 s",
        code=("WO50", _PRIVATE, "Share Washed Out 50 s After Arrival"),
        relation="none",
        of=lambda form: form.washed_out(form.rise.base_s + _WASH_OUT_S),
    ),
    Parameter(
        name="QOF",
        unit="1",
        definition="Quality of fit: the region's typical residual variance over this pixel's, "
        "at most 1; 0 where no fit was possible",
        equation="min(1, φ_region / φ_pixel), φ = Σ w (y/m − 1)² / (K − 5)",
        source="this project",
        code=("QOF", _PRIVATE, "Quality of Fit"),
        relation="none",
    ),
    Parameter(
        name="arrival",
        unit="s",
        definition="Arrival of the bolus on the loop's clock: where the steepest rising tangent "
        "leaves the baseline, which hardly depends on the family of curves fitted",
        equation="t0 + tI",
        source=_TEXTBOOK,
        code=("126371", "DCM", "Bolus Arrival Time"),
        relation="difference",
    ),
)
"""Every kinetic parameter this package computes, in the order in which they are shown."""
