"""What came back, read from the structured report itself: the bytes a PACS holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from pydicom import Dataset, dcmread
from pydicom.sr.coding import Code

from dicomnode.cli.answer import SHOWN, Answer
from dicomnode.dicom import codes
from dicomnode.outputs.schema import LesionPart, ParameterPart, StabilityPart, SubRegionPart

__all__ = ["answer_of_report"]

Key: TypeAlias = tuple[str, str]
"""Code value and coding scheme."""
Numbers: TypeAlias = dict[tuple[Key, Key | None], tuple[float, str]]
"""Concept and derivation to value and unit."""

_CONTAINER = ("125007", "DCM")  # Measurement Group, TID 1410 and 1501
_MEASUREMENTS = ("126010", "DCM")  # Imaging Measurements, TID 1500
_TRACKING = ("112039", "DCM")
_DERIVATION = ("121401", "DCM")
_SUBREGION = "Sub-region "
_WARNING = "Warning: "


def answer_of_report(path: Path) -> Answer:
    """Read the answer from a structured report of this software, TID 1500."""
    groups = {_text(group, _TRACKING): group for group in _groups(dcmread(path))}
    answer, quality = groups["Classification"], groups["Quality"]
    numbers = _numbers(answer)
    probability = _value(numbers, codes.PROBABILITY_OF_CANCER)
    limits = (
        _share(_value(numbers, codes.PROBABILITY_LOWER)),
        _share(_value(numbers, codes.PROBABILITY_UPPER)),
    )
    decision = _code(answer, _key(codes.DECISION_NAME))
    return Answer(
        decision={_key(code): name for name, code in codes.DECISIONS.items()}[decision],
        probability=_share(probability),
        interval=None if None in limits else limits,
        remarks=tuple(text.removeprefix("Indeterminate: ") for text in _comments(answer)),
        lesion=_lesion(_numbers(groups["Lesion"])),
        grade=_code(quality, _key(codes.IMAGE_QUALITY))[0].removeprefix("GRADE-"),
        subregions=tuple(
            _subregion(group)
            for group in groups.values()
            if any(text.startswith(_SUBREGION) for text in _comments(group))
        ),
        failed_checks=tuple(
            text.partition(", FAILED")[0] for text in _comments(quality) if ", FAILED" in text
        ),
        stability=_stability(_numbers(quality)),
        warnings=tuple(
            text.removeprefix(_WARNING) for text in _comments(quality) if text.startswith(_WARNING)
        ),
        notice=" ".join(_comments(groups["Notice"])),
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
    number, _, name = _comments(group)[0].removeprefix(_SUBREGION).partition(": ")
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


def _groups(report: Dataset) -> Iterator[Dataset]:
    for part in report.ContentSequence:
        if _concept(part) == _MEASUREMENTS:
            yield from (item for item in part.ContentSequence if _concept(item) == _CONTAINER)


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
        if _concept(part) == _DERIVATION:
            return _coded(part.ConceptCodeSequence[0])
    return None


def _value(numbers: Numbers, code: Code, derivation: Code | None = None) -> float | None:
    found = numbers.get((_key(code), None if derivation is None else _key(derivation)))
    return None if found is None else found[0]


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _comments(group: Dataset) -> list[str]:
    return [
        str(item.TextValue)
        for item in group.ContentSequence
        if _concept(item) == _key(codes.COMMENT)
    ]


def _text(group: Dataset, concept: Key) -> str:
    return next(str(i.TextValue) for i in group.ContentSequence if _concept(i) == concept)


def _code(group: Dataset, concept: Key) -> Key:
    return next(
        _coded(item.ConceptCodeSequence[0])
        for item in group.ContentSequence
        if _concept(item) == concept
    )


def _concept(item: Dataset) -> Key:
    return _coded(item.ConceptNameCodeSequence[0])


def _coded(code: Dataset) -> Key:
    return str(code.CodeValue), str(code.CodingSchemeDesignator)


def _key(code: Code) -> Key:
    return code.value, code.scheme_designator
