"""Codes: the public ones that are used, and the table of the private scheme."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import get_args, get_type_hints

from pydicom import Dataset
from pydicom.datadict import dictionary_description
from pydicom.sr.coding import Code

from conformance.content import group_name
from conformance.exam import REASON, Cases, findings
from conformance.markdown import code, table
from dicomnode.dicom import codes
from dicomnode.dicom.results.sr.evaluations import of_exam
from dicomnode.science.findings import Quality
from dicomnode.science.kinetics import FAMILIES, PARAMETERS

__all__ = ["Use", "declared_codes", "private_table", "public_table", "unit_table", "uses"]

UNITS_SCHEME = "UCUM"
IN_REPORTS: Mapping[str, str] = {
    "ConceptNameCodeSequence": "name",
    "ConceptCodeSequence": "value",
    "MeasurementUnitsCodeSequence": "unit",
}
NOT_SEEN = "not used by the made-up exam"


@dataclass(frozen=True)
class Use:
    """A code as it stands in an object, and where."""

    value: str
    scheme: str
    meaning: str
    where: str


def declared_codes() -> tuple[Code, ...]:
    """Return every code that the table of codes names, or makes of other tables."""
    named = [each for each in vars(codes).values() if isinstance(each, Code)]
    tables = (codes.LATERALITY, codes.DECISIONS)
    grades = get_args(get_type_hints(Quality)["grade"])
    found = [
        *named,
        *(each for mapping in tables for each in mapping.values()),
        *(codes.grade(letter) for letter in grades),
        *(codes.unit(symbol) for symbol in codes.UNITS),
    ]
    for item in PARAMETERS:
        found.append(codes.parameter(item.name))
        if item.relation != "none":
            found += codes.relative_parameter(item.name)
    return tuple(dict.fromkeys(found))


def uses(made: Cases) -> tuple[Use, ...]:
    """Return every code in every object of the made-up exam, then those that are declared only."""
    seen = [
        use
        for case in made
        for kind, dataset in case.objects.items()
        for use in _walk(dataset, kind, "")
    ]
    seen += [use for part in _evaluations() for use in _walk(part, "sr", "")]
    known = {(use.value, use.scheme) for use in seen}
    unseen = [
        Use(each.value, each.scheme_designator, each.meaning, NOT_SEEN)
        for each in declared_codes()
        if (each.value, each.scheme_designator) not in known
    ]
    return tuple(dict.fromkeys([*seen, *unseen]))


def public_table(found: Iterable[Use]) -> str:
    """Return the codes of public schemes, without units."""
    private_or_unit = (codes.PRIVATE_SCHEME, UNITS_SCHEME)
    return _table(use for use in found if use.scheme not in private_or_unit)


def private_table(found: Iterable[Use]) -> str:
    """Return the codes of this project's own scheme."""
    return _table(use for use in found if use.scheme == codes.PRIVATE_SCHEME)


def unit_table(found: Iterable[Use]) -> str:
    """Return the units, without where they are used."""
    units = {use.value: use.meaning for use in found if use.scheme == UNITS_SCHEME}
    rows = [(code(value), units[value]) for value in sorted(units)]
    return table(("Unit (UCUM)", "Meaning"), rows)


def _evaluations() -> Iterator[Dataset]:
    """Yield the qualitative evaluations for every family of curves, with a reason to abstain."""
    found = findings()
    for family in FAMILIES:
        bolus = replace(found.bolus, family=family)
        other = replace(found, bolus=bolus, diagnosis=replace(found.diagnosis, reasons=(REASON,)))
        yield of_exam(other)


def _table(found: Iterable[Use]) -> str:
    together: dict[tuple[str, str], list[Use]] = {}
    for use in found:
        together.setdefault((use.scheme, use.value), []).append(use)
    rows = [
        (
            code(value),
            scheme,
            _meaning(value, every),
            _places(use.where for use in every),
        )
        for (scheme, value), every in sorted(together.items())
    ]
    return table(("Code value", "Scheme", "Meaning", "Where"), rows)


def _places(found: Iterable[str]) -> str:
    """Return places in order, those of one kind together."""
    together: dict[str, list[str]] = {}
    for where in sorted(set(found)):
        kind, _, place = where.partition(" in ")
        together.setdefault(kind, []).append(place)
    return "; ".join(
        f"{kind} in {', '.join(places)}" if any(places) else kind
        for kind, places in together.items()
    )


def _meaning(code_value: str, found: Iterable[Use]) -> str:
    """Return the one meaning of a code, which no exam may change."""
    meanings = {use.meaning for use in found}
    if len(meanings) > 1:
        raise ValueError(f"code {code_value}: expected one meaning, got {sorted(meanings)}")
    return meanings.pop()


def _walk(dataset: Dataset, kind: str, group: str) -> Iterator[Use]:
    group = group_name(dataset) or group
    for element in dataset:
        if element.VR != "SQ":
            continue
        for item in element.value:
            if "CodeValue" in item:
                where = _where(kind, group, element.keyword)
                scheme = str(item.CodingSchemeDesignator)
                yield Use(str(item.CodeValue), scheme, str(item.CodeMeaning), where)
            yield from _walk(item, kind, group)


def _where(kind: str, group: str, keyword: str) -> str:
    if keyword in IN_REPORTS:
        return f"{kind}: {IN_REPORTS[keyword]} in {group or 'the document'}"
    return f"{kind}: {dictionary_description(keyword)}"
