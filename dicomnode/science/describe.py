"""A measured lesion in the terms of a report: sizes, regions, curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.findings import UNRELIABLE, Curve, Lesion, Region, Spread, SubRegion
from dicomnode.science.fit import predict
from dicomnode.science.kinetics import PARAMETERS, arrivals, relative
from dicomnode.science.perfusion import Perfusion
from dicomnode.science.regions import area_mm2, axes_mm, outlines

__all__ = [
    "describe_curves",
    "describe_lesion",
    "describe_subregions",
    "describe_tissue",
    "describe_whole",
]

Floats = NDArray[np.float64]

_UNRELIABLE_NAME = "unreliable"
_UNITS: Mapping[str, str] = {item.name: item.unit for item in PARAMETERS}
_RELATIVE_UNITS: Mapping[str, str] = {
    item.name: "1" if item.relation == "ratio" else item.unit
    for item in PARAMETERS
    if item.relation != "none"
}


def describe_lesion(
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
    enlargement: float | None,
    *,
    probability: float,
    uncertainty: float,
) -> Lesion:
    """Sizes and outlines of a lesion mask (R, C) of at least one pixel, and how sure it is."""
    long_axis, short_axis = axes_mm(mask, spacing_mm)
    return Lesion(
        area_mm2=area_mm2(mask, spacing_mm),
        long_axis_mm=long_axis,
        short_axis_mm=short_axis,
        enlargement_ratio=enlargement,
        outlines=outlines(mask),
        probability=probability,
        uncertainty=uncertainty,
    )


def describe_subregions(
    subregion_map: NDArray[np.uint8],
    names: Sequence[str],
    perfusion: Perfusion,
    spacing_mm: tuple[float, float],
) -> tuple[SubRegion, ...]:
    """Area and parameters of every sub-region that the lesion has, in order of number.

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
        reliable = number != UNRELIABLE
        measured = _region(perfusion, mask & reliable)
        found.append(
            SubRegion(
                number=number,
                name=names[number - 1] if reliable else _UNRELIABLE_NAME,
                fraction=np.count_nonzero(mask) / total,
                area_mm2=area_mm2(mask, spacing_mm),
                parameters=measured.parameters,
                relative=measured.relative,
            )
        )
    return tuple(found)


def describe_whole(subregion_map: NDArray[np.uint8], perfusion: Perfusion) -> Region:
    """Parameters of the lesion as a whole: of those of its pixels that are reliable.

    Parameters
    ----------
    subregion_map : ndarray of uint8, shape (R, C)
        0 outside the lesion, 1..K, UNRELIABLE.
    perfusion : Perfusion
    """
    return _region(perfusion, (subregion_map > 0) & (subregion_map != UNRELIABLE))


def describe_tissue(perfusion: Perfusion) -> Region:
    """Parameters of the reference tissue, which is what everything else is set against."""
    tissue = _measured(perfusion, perfusion.regions.tissue)
    return Region(parameters=_spreads(tissue, _UNITS), relative={})


def _region(perfusion: Perfusion, mask: NDArray[np.bool_]) -> Region:
    """Parameters of a mask's pixels, as they are and against the median of reference tissue."""
    values = _measured(perfusion, mask)
    tissue = _measured(perfusion, perfusion.regions.tissue)
    against = relative(values, tissue) if tissue["QOF"].size else {}
    return Region(parameters=_spreads(values, _UNITS), relative=_spreads(against, _RELATIVE_UNITS))


def _measured(perfusion: Perfusion, mask: NDArray[np.bool_]) -> dict[str, Floats]:
    """Parameters of the pixels that could be fitted: the quality of fit of others is 0."""
    values = perfusion.within(mask)
    fitted = values["QOF"] > 0
    return {name: found[fitted] for name, found in values.items()}


def _spreads(values: Mapping[str, Floats], units: Mapping[str, str]) -> dict[str, Spread]:
    """Median and quartiles of each quantity, in the table's order; none of what has no value."""
    spreads = {}
    for name, unit in units.items():
        found = values.get(name, np.empty(0))
        found = found[np.isfinite(found)]
        if found.size:
            q1, median, q3 = (float(q) for q in np.quantile(found, (0.25, 0.5, 0.75)))
            spreads[name] = Spread(median=median, q1=q1, q3=q3, unit=unit)
    return spreads


def describe_curves(
    perfusion: Perfusion, subregions: Sequence[SubRegion], subregion_map: NDArray[np.uint8]
) -> tuple[Curve, ...]:
    """Mean curves of lesion, reference tissue and sub-regions, with the model fitted to each.

    A region without a pixel has a curve of NaN, and neither arrival nor baseline.
    """
    regions: list[tuple[str, int | None]] = [("lesion", None), ("reference tissue", None)]
    regions += [(region.name, region.number) for region in subregions]
    labels = perfusion.regions.tissue.astype(np.uint8)
    for n, region in enumerate(subregions, start=2):
        labels[subregion_map == region.number] = n
    powers = np.full((len(perfusion.lesion_curve), len(regions)), np.nan)
    powers[:, 0] = perfusion.lesion_curve
    if labels.any():
        powers[:, 1 : 1 + labels.max()] = perfusion.mean_curves(labels)
    fit = perfusion.fit_means(powers)
    models, arrivals_s = predict(fit, perfusion.loop.times_s), arrivals(fit)
    return tuple(
        Curve(
            name=name,
            number=number,
            power=powers[:, n],
            fitted=np.full(len(powers), np.nan) if fit.failed[n] else models[:, n],
            arrival_s=None if fit.failed[n] else float(arrivals_s[n]),
            baseline=None if fit.failed[n] else float(fit.baseline[n]),
        )
        for n, (name, number) in enumerate(regions)
    )
