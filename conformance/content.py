"""The content tree of a structured report (PS3.3 C.17.3), walked."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID

from dicomnode.dicom.codes import QUALITATIVE_EVALUATIONS

__all__ = ["Line", "coded", "group_name", "lines"]

TRACKING_IDENTIFIER = "112039"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One content item. ``group`` names the group it is in, if it is in one."""

    depth: int
    group: str
    relationship: str
    value_type: str
    name: str
    value: str
    kind: str
    """What may stand as the value: a unit, codes, or the kind of text or reference."""


def lines(report: Dataset) -> tuple[Line, ...]:
    """Return every content item in order, parents first."""
    return tuple(_walk(report, 0, ""))


def coded(item: Dataset) -> str:
    """Return a code as the standard prints it: (value, scheme, "meaning")."""
    return f'({item.CodeValue}, {item.CodingSchemeDesignator}, "{item.CodeMeaning}")'


def group_name(container: Dataset) -> str:
    """Return how a group is called: by its tracking identifier, any number in it as N, or name."""
    own = container.get("ConceptNameCodeSequence") or ()
    if any(name.CodeValue == QUALITATIVE_EVALUATIONS.value for name in own):
        return QUALITATIVE_EVALUATIONS.meaning
    for item in container.get("ContentSequence", ()):
        names = item.get("ConceptNameCodeSequence") or ()
        if any(name.CodeValue == TRACKING_IDENTIFIER for name in names):
            return re.sub(r"\d+", "N", str(item.TextValue))
    return ""


def _walk(item: Dataset, depth: int, group: str) -> Iterator[Line]:
    group = group_name(item) or group
    names = item.get("ConceptNameCodeSequence") or ()
    value, kind = _value(item)
    yield Line(
        depth=depth,
        group=group,
        relationship=str(item.get("RelationshipType", "")),
        value_type=str(item.ValueType),
        name=coded(names[0]) if names else "",
        value=value,
        kind=kind,
    )
    for child in item.get("ContentSequence", ()):
        yield from _walk(child, depth + 1, group)


def _value(item: Dataset) -> tuple[str, str]:
    """Return the value of a content item, and what kind of value it is."""
    match str(item.ValueType):
        case "CODE":
            text = coded(item.ConceptCodeSequence[0])
            return text, text
        case "NUM":
            measured = item.MeasuredValueSequence[0]
            unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
            return f"{measured.NumericValue} {unit}", f"in {unit}"
        case "TEXT":
            return f'"{item.TextValue}"', "text"
        case "UIDREF":
            return str(item.UID), "UID"
        case "IMAGE":
            return _reference(item.ReferencedSOPSequence[0])
        case "SCOORD":
            return _shape(item)
    return "", ""


def _reference(item: Dataset) -> tuple[str, str]:
    name = UID(item.ReferencedSOPClassUID).name
    frame = item.get("ReferencedFrameNumber")
    where = "" if frame is None else f", frame {frame}"
    return f"{name} {item.ReferencedSOPInstanceUID}{where}", f"{name}{where and ', one frame'}"


def _shape(item: Dataset) -> tuple[str, str]:
    """Say how many points there are and what they span, as columns and rows of the image."""
    columns, rows = item.GraphicData[0::2], item.GraphicData[1::2]
    spans = [f"{min(axis):.0f} to {max(axis):.0f}" for axis in (columns, rows)]
    kind = str(item.GraphicType)
    return f"{kind} of {len(rows)} points, columns {spans[0]}, rows {spans[1]}", kind
