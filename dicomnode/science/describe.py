"""A measured lesion in the terms of a report: sizes, sub-regions, curves."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.findings import UNRELIABLE, Curve, Lesion, Spread, SubRegion
from dicomnode.science.fit import fit_lognormal, predict
from dicomnode.science.kinetics import PARAMETERS
from dicomnode.science.perfusion import Perfusion
from dicomnode.science.regions import area_mm2, axes_mm, outlines

__all__ = ["describe_curves", "describe_lesion", "describe_subregions"]

_UNRELIABLE_NAME = "unreliable"


def describe_lesion(
    mask: NDArray[np.bool_], spacing_mm: tuple[float, float], enlargement: float | None
) -> Lesion:
    """Sizes and outlines of a lesion mask (R, C) of at least one pixel."""
    long_axis, short_axis = axes_mm(mask, spacing_mm)
    return Lesion(
        area_mm2=area_mm2(mask, spacing_mm),
        long_axis_mm=long_axis,
        short_axis_mm=short_axis,
        enlargement_ratio=enlargement,
        outlines=outlines(mask),
    )


def describe_subregions(
    subregion_map: NDArray[np.uint8],
    names: Sequence[str],
    perfusion: Perfusion,
    spacing_mm: tuple[float, float],
) -> tuple[SubRegion, ...]:
    """Area and parameter spread of every sub-region that the lesion has, in order of number.

    What is unreliable has an area and no parameters.

    Parameters
    ----------
    subregion_map : ndarray of uint8, shape (R, C)
        0 outside the lesion, 1..K, UNRELIABLE.
    names : sequence of str
        Names of the sub-regions 1..K.
    perfusion : Perfusion
    spacing_mm : (float, float)
    """
    total = np.count_nonzero(subregion_map)
    found = []
    for number in (int(n) for n in np.unique(subregion_map) if n):
        mask = subregion_map == number
        found.append(
            SubRegion(
                number=number,
                name=_UNRELIABLE_NAME if number == UNRELIABLE else names[number - 1],
                fraction=np.count_nonzero(mask) / total,
                area_mm2=area_mm2(mask, spacing_mm),
                parameters={} if number == UNRELIABLE else _spreads(perfusion, mask),
            )
        )
    return tuple(found)


def _spreads(perfusion: Perfusion, mask: NDArray[np.bool_]) -> dict[str, Spread]:
    values = perfusion.within(mask)
    spreads = {}
    for parameter in PARAMETERS:
        q1, median, q3 = (float(q) for q in np.quantile(values[parameter.name], (0.25, 0.5, 0.75)))
        spreads[parameter.name] = Spread(median=median, q1=q1, q3=q3, unit=parameter.unit)
    return spreads


def describe_curves(
    perfusion: Perfusion, subregions: Sequence[SubRegion], subregion_map: NDArray[np.uint8]
) -> tuple[Curve, ...]:
    """Mean curves of lesion, reference tissue and sub-regions, with the model fitted to each."""
    regions: list[tuple[str, int | None, NDArray[np.bool_]]] = [
        ("lesion", None, perfusion.regions.lesion),
        ("reference tissue", None, perfusion.regions.tissue),
    ]
    regions += [(r.name, r.number, subregion_map == r.number) for r in subregions]
    powers = [perfusion.mean_curve(mask) for _, _, mask in regions]
    fitted = _fitted(perfusion, np.stack(powers, axis=1))
    return tuple(
        Curve(name=name, number=number, power=power, fitted=model)
        for (name, number, _), power, model in zip(regions, powers, fitted.T, strict=True)
    )


def _fitted(perfusion: Perfusion, power: NDArray[np.float64]) -> NDArray[np.float64]:
    """The fitted model of each column; NaN where a region has no pixel."""
    fit = fit_lognormal(power, perfusion.times_s, kept=perfusion.kept, looks=50.0)
    model = predict(fit, perfusion.times_s)
    model[:, fit.failed] = np.nan
    return model
