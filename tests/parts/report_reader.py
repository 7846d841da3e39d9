"""A reader of the structured report, to compare what it says with the record."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes as public
from pydicom.sr.coding import Code

from dicomnode.cli.answer import SHOWN
from dicomnode.dicom import codes
from dicomnode.errors import Reason
from dicomnode.record.schema import LesionPart, ParameterPart, StabilityPart, SubRegionPart
from dicomnode.science.findings import Diagnosis

__all__ = ["Report", "read_report"]

Key: TypeAlias = tuple[str, str]
"""Code value and coding scheme."""
Numbers: TypeAlias = dict[tuple[Key, Key | None], tuple[float, str]]
"""Concept and derivation to value and unit."""

_SUBREGION = "Sub-region "
_FAILED = ", FAILED"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a structured report says of an analysed exam."""

    diagnosis: Diagnosis
    premises: str
    because: tuple[str, ...]
    lesion: LesionPart
    grade: str
    subregions: tuple[SubRegionPart, ...]
    failed_checks: tuple[str, ...]
    stability: StabilityPart | None
    warnings: tuple[str, ...]
    notice: str


def read_report(path: Path) -> Report:
    """Read a structured report of this software, TID 1500."""
    report = dcmread(path)
    said = _container(report, codes.QUALITATIVE_EVALUATIONS)
    measured = _container(report, public.DCM.ImagingMeasurements).ContentSequence
    groups = {_texts(group, public.DCM.TrackingIdentifier)[0]: group for group in measured}
    numbers = _numbers(groups["Lesion"])
    return Report(
        diagnosis=_diagnosis(said, numbers),
        premises=" ".join(_texts(said, codes.ANSWER)[1:]),
        because=_texts(said, codes.CONTRIBUTION),
        lesion=_lesion(numbers),
        grade=_code(said, codes.IMAGE_QUALITY)[0].removeprefix("GRADE-"),
        subregions=tuple(
            _subregion(group)
            for group in groups.values()
            if any(text.startswith(_SUBREGION) for text in _texts(group))
        ),
        failed_checks=tuple(text.partition(_FAILED)[0] for text in _texts(said) if _FAILED in text),
        stability=_stability(numbers),
        warnings=_texts(said, codes.WARNING),
        notice=" ".join(_texts(said, codes.NOTICE)),
    )


def _diagnosis(said: Dataset, numbers: Numbers) -> Diagnosis:
    low = _share(_value(numbers, codes.PROBABILITY_LOWER))
    high = _share(_value(numbers, codes.PROBABILITY_UPPER))
    decision = _code(said, codes.DECISION_NAME)
    return Diagnosis(
        malignant_probability=_share(_value(numbers, codes.PROBABILITY_OF_CANCER)),
        interval=None if low is None or high is None else (low, high),
        prevalence=_share(_value(numbers, codes.PREVALENCE)),
        decision={_key(code): name for name, code in codes.DECISIONS.items()}[decision],
        coverage=0.0,
        contributions=(),
        reasons=tuple(Reason("", words) for words in _texts(said, codes.REASON)),
    )


def _lesion(numbers: Numbers) -> LesionPart:
    return LesionPart(
        area_mm2=_value(numbers, codes.AREA),
        long_axis_mm=_value(numbers, codes.LONG_AXIS),
        short_axis_mm=_value(numbers, codes.SHORT_AXIS),
        enlargement_ratio=_value(numbers, codes.ENLARGEMENT),
    )


def _subregion(group: Dataset) -> SubRegionPart:
    numbers = _numbers(group)
    number, _, name = _texts(group)[0].removeprefix(_SUBREGION).partition(": ")
    parameters = {name: _parameter(numbers, codes.parameter(name)) for name in SHOWN}
    return SubRegionPart(
        number=int(number),
        name=name,
        fraction=_share(_value(numbers, codes.AREA_FRACTION)),
        area_mm2=_value(numbers, codes.AREA),
        parameters={name: spread for name, spread in parameters.items() if spread is not None},
    )


def _parameter(numbers: Numbers, code: Code) -> ParameterPart | None:
    found = numbers.get((_key(code), _key(codes.MEDIAN)))
    if found is None:
        return None
    quartiles = (
        _value(numbers, code, codes.LOWER_QUARTILE),
        _value(numbers, code, codes.UPPER_QUARTILE),
    )
    return ParameterPart(median=found[0], iqr=quartiles, unit=found[1])


def _stability(numbers: Numbers) -> StabilityPart | None:
    ari = _value(numbers, codes.STABILITY, codes.MEDIAN)
    replicates = _value(numbers, codes.REPLICATES)
    if ari is None or replicates is None:
        return None
    return StabilityPart(ari=ari, replicates=int(replicates))


def _container(report: Dataset, name: Code) -> Dataset:
    found: Dataset
    (found,) = (item for item in report.ContentSequence if _concept(item) == _key(name))
    return found


def _numbers(group: Dataset) -> Numbers:
    found: Numbers = {}
    for item in group.ContentSequence:
        if item.ValueType == "NUM" and item.MeasuredValueSequence:
            measured = item.MeasuredValueSequence[0]
            unit = str(measured.MeasurementUnitsCodeSequence[0].CodeValue)
            value = float(measured.NumericValue)
            found[_concept(item), _derivation(item)] = value, unit
    return found


def _derivation(item: Dataset) -> Key | None:
    for part in item.get("ContentSequence", ()):
        if _concept(part) == _key(public.DCM.Derivation):
            return _coded(part.ConceptCodeSequence[0])
    return None


def _value(numbers: Numbers, code: Code, derivation: Code | None = None) -> float | None:
    found = numbers.get((_key(code), None if derivation is None else _key(derivation)))
    return None if found is None else found[0]


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _texts(group: Dataset, name: Code = codes.COMMENT) -> tuple[str, ...]:
    return tuple(
        str(item.TextValue) for item in group.ContentSequence if _concept(item) == _key(name)
    )


def _code(group: Dataset, name: Code) -> Key:
    return next(
        _coded(item.ConceptCodeSequence[0])
        for item in group.ContentSequence
        if _concept(item) == _key(name)
    )


def _concept(item: Dataset) -> Key:
    return _coded(item.ConceptNameCodeSequence[0])


def _coded(code: Dataset) -> Key:
    return str(code.CodeValue), str(code.CodingSchemeDesignator)


def _key(code: Code) -> Key:
    return code.value, code.scheme_designator
