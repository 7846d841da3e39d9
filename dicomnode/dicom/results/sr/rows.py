"""Numbers of the structured report: each a coded name, a value, a unit and how it was obtained.

A measurement (TID 1419) is modified by its derivation (median, quartile) and by its method. Values
against reference tissue have names of their own besides.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from highdicom.sr import AlgorithmIdentification, Measurement
from pydicom.sr.coding import Code

from dicomnode.dicom import codes
from dicomnode.science.feature_table import FEATURES
from dicomnode.science.findings import Diagnosis, Findings, Spread

__all__ = [
    "TISSUE",
    "Row",
    "contributions",
    "kinetics",
    "measurements",
    "of_mean_curve",
    "of_quality",
    "probabilities",
]

TISSUE = "reference tissue"
"""Name of its curve in the findings."""
FEATURE_UNITS: Mapping[str, str] = {feature.name: feature.unit for feature in FEATURES}
"""UCUM unit of each feature of this project; a bundle of a site may bring others, unitless here."""


class Row(NamedTuple):
    """One measurement; ``unit`` is UCUM."""

    name: Code
    value: float | None
    unit: str
    derivation: Code | None = None
    method: Code | None = None


def measurements(
    rows: Iterable[Row], algorithm: AlgorithmIdentification | None = None
) -> list[Measurement]:
    """Return measurements to 6 digits; a value that does not exist has no measurement.

    ``algorithm`` is what they are from, where it is not that of their group.
    """
    return [
        Measurement(
            name=row.name,
            value=float(f"{row.value:.6g}"),
            unit=codes.unit(row.unit),
            derivation=row.derivation,
            method=row.method,
            algorithm_id=algorithm,
        )
        for row in rows
        if row.value is not None and math.isfinite(row.value)
    ]


def kinetics(parameters: Mapping[str, Spread], relative: Mapping[str, Spread]) -> Iterator[Row]:
    """Yield medians and quartiles of a region, then the medians against reference tissue.

    The quartiles against reference tissue follow from these and from the median of tissue.
    """
    for name, spread in parameters.items():
        code = codes.parameter(name)
        yield Row(code, spread.median, spread.unit, codes.MEDIAN)
        yield Row(code, spread.q1, spread.unit, codes.LOWER_QUARTILE)
        yield Row(code, spread.q3, spread.unit, codes.UPPER_QUARTILE)
    for name, spread in relative.items():
        code, method = codes.relative_parameter(name)
        yield Row(code, spread.median, spread.unit, codes.MEDIAN, method)


def of_mean_curve(findings: Findings, region: str | int) -> Iterator[Row]:
    """Yield arrival and baseline of a region: a sub-region by its number, others by name."""
    for curve in findings.curves:
        if region == (curve.name if curve.number is None else curve.number):
            arrival = codes.parameter("arrival")
            yield Row(arrival, curve.arrival_s, "s", method=codes.MEAN_CURVE)
            yield Row(codes.BASELINE, curve.baseline, "{a.u.}", method=codes.MEAN_CURVE)


def of_quality(findings: Findings) -> Iterator[Row]:
    """Yield the numbers about the whole exam that say how far its result can be relied on."""
    stability, bolus = findings.stability, findings.bolus
    if stability is not None:
        yield Row(codes.STABILITY, stability.ari, "1", codes.MEDIAN, codes.RESAMPLING)
        yield Row(codes.REPLICATES, stability.replicates, "1", method=codes.RESAMPLING)
    yield Row(codes.DYNAMIC_RANGE, findings.dynamic_range_db, "dB")
    yield Row(codes.RECIRCULATION, 100 * bolus.recirculation, "%")
    yield Row(codes.DISPERSION, bolus.dispersion, "1")
    for check in findings.quality.checks:
        yield Row(codes.check(check.name), check.value, check.unit)


def probabilities(diagnosis: Diagnosis) -> Iterator[Row]:
    """Yield the probability of cancer with its limits and what it assumes, where there is one."""
    if diagnosis.malignant_probability is not None:
        yield Row(codes.PROBABILITY_OF_CANCER, 100 * diagnosis.malignant_probability, "%")
    if diagnosis.interval is not None:
        yield Row(codes.PROBABILITY_LOWER, 100 * diagnosis.interval[0], "%")
        yield Row(codes.PROBABILITY_UPPER, 100 * diagnosis.interval[1], "%")
    if diagnosis.prevalence is not None:
        yield Row(codes.PREVALENCE, 100 * diagnosis.prevalence, "%")


def contributions(diagnosis: Diagnosis) -> Iterator[Row]:
    """Yield each feature's value and what it added to the log-odds of malignancy."""
    for item in diagnosis.contributions:
        code = codes.private(item.feature, item.meaning)
        yield Row(code, item.value, FEATURE_UNITS.get(item.feature, "1"))
        yield Row(codes.contribution(item.feature, item.meaning), item.contribution, "1")
