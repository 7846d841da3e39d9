"""Content items that several parts of the structured report are made with."""

from collections.abc import Iterable

from highdicom.sr import (
    AlgorithmIdentification,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.sr.coding import Code

from dicomnode.dicom import codes
from dicomnode.dicom.context import Context
from dicomnode.dicom.results.segments import Task, algorithm
from dicomnode.science.findings import Findings

__all__ = ["container", "identification", "short_identification", "text"]


def container(name: Code, items: Iterable[ContentItem]) -> ContainerContentItem:
    """Return a heading of the document with what stands below it."""
    made = ContainerContentItem(name=name, relationship_type=RelationshipTypeValues.CONTAINS)
    made.ContentSequence = ContentSequence(items)
    return made


def text(words: str, name: Code = codes.COMMENT) -> TextContentItem:
    """Return a remark in words."""
    return TextContentItem(
        name=name, value=codes.plain(words), relationship_type=RelationshipTypeValues.CONTAINS
    )


def identification(task: Task, findings: Findings, context: Context) -> AlgorithmIdentification:
    """Return what did this task (TID 4019), with its digest and what it was trained on."""
    used = algorithm(task, findings.models, context)
    return AlgorithmIdentification(
        name=used.name,
        version=used.version,
        family=used.family,
        manufacturer=context.equipment.manufacturer,
        parameters=[f"{name}: {value}" for name, value in used.parameters] or None,
    )


def short_identification(
    task: Task, findings: Findings, context: Context
) -> AlgorithmIdentification:
    """Return name and version of what did this task (TID 4019), for a single number of it."""
    used = algorithm(task, findings.models, context)
    return AlgorithmIdentification(name=used.name, version=used.version)
