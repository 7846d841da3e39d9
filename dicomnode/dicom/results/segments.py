"""The regions of a result as SEG and SR both name them: lesion, sub-regions, ring."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.sr.coding import Code

from dicomnode.dicom import codes
from dicomnode.dicom.box import Box
from dicomnode.dicom.context import Context
from dicomnode.errors import OutputError
from dicomnode.science.findings import UNRELIABLE, Findings, ModelUse

__all__ = [
    "Algorithm",
    "Segment",
    "algorithm",
    "full_image",
    "lesion_segment",
    "segments",
]

Scalar = TypeVar("Scalar", bound=np.generic)
Task = Literal["segment", "subregion", "classify"]

LESION_RGB = (240, 228, 66)
RING_RGB = (204, 121, 167)

TASK_WORDS: dict[Task, tuple[str, ...]] = {
    "segment": ("segment",),
    "subregion": ("codebook", "subregion", "sub-region", "cluster"),
    "classify": ("classif", "diagnos"),
}
FAMILIES: dict[Task, Code] = {
    "segment": codes.ARTIFICIAL_INTELLIGENCE,
    "subregion": codes.CLUSTER_ANALYSIS,
    "classify": codes.ARTIFICIAL_INTELLIGENCE,
}


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What found a region or gave an answer (TID 4019, PS3.3 10.16)."""

    name: str
    version: str
    family: Code
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One region: its number and frame in the SEG, its mask in pane coordinates, its names."""

    number: int
    subregion: int | None
    label: str
    mask: NDArray[np.bool_]
    rgb: tuple[int, int, int]
    category: Code
    type: Code
    tracking_id: str
    task: Task

    def tracking_uid(self, context: Context) -> str:
        """UID that ties the SEG's segment to the SR's measurement group."""
        return str(context.uid("tracking", self.tracking_id))


def segments(findings: Findings) -> tuple[Segment, ...]:
    """Return the segments of the sub-region map in order: sub-regions, unreliable, ring.

    None overlaps another, and the lesion is not among them: viewers would tint each colour with
    the lesion's, and OHIF 3.12 shows segments that overlap over another frame than theirs. Only
    where nothing could be divided the lesion stands alone.
    """
    parts = list(_subregions(findings))
    if findings.ring_mask.any():
        parts.append(_part("Ring", findings.ring_mask, RING_RGB, codes.RING, "segment"))
    return tuple(_numbered(parts)) or (lesion_segment(findings),)


def lesion_segment(findings: Findings) -> Segment:
    """Return the lesion as the one segment of a SEG of its own."""
    if not findings.lesion_mask.any():
        raise OutputError("lesion: expected at least one pixel, got an empty mask")
    part = _part("Lesion", findings.lesion_mask, LESION_RGB, codes.LESION, "segment")
    return replace(part, number=1)


def algorithm(task: Task, models: Sequence[ModelUse], context: Context) -> Algorithm:
    """Return what did this task: the model bundle, or this software where no bundle had a part."""
    for model in models:
        if any(word in model.task.lower() for word in TASK_WORDS[task]):
            parameters = (("sha256", model.sha256), ("trained on", codes.plain(model.trained_on)))
            return Algorithm(
                name=codes.plain(model.name, 64),
                version=codes.plain(model.version, 64),
                family=FAMILIES[task],
                parameters=parameters,
            )
    return Algorithm(
        name=context.equipment.model,
        version=context.equipment.software_version,
        family=FAMILIES[task],
        parameters=(),
    )


def full_image(
    pane: NDArray[Scalar], box: Box, rows: int, columns: int, outside: float = 0
) -> NDArray[Scalar]:
    """Place a mask or map of a pane where the pane lies in the whole image."""
    if pane.shape != (box.rows, box.columns):
        raise OutputError(
            f"pane: expected the box's shape {(box.rows, box.columns)}, got {pane.shape}"
        )
    if box.row + box.rows > rows or box.column + box.columns > columns:
        raise OutputError(f"pane {box}: expected it within an image of {rows}x{columns} pixels")
    whole = np.full((rows, columns), outside, pane.dtype)
    whole[box.slices] = pane
    return whole


def _subregions(findings: Findings) -> Iterator[Segment]:
    for region in findings.subregions:
        mask = findings.subregion_map == region.number
        reliable = region.number != UNRELIABLE
        code = codes.SUBREGION if reliable else codes.UNRELIABLE_REGION
        if mask.any():
            yield _part(region.label, mask, region.rgb, code, "subregion", region.number)


def _part(
    label: str,
    mask: NDArray[np.bool_],
    rgb: tuple[int, int, int],
    code: Code,
    task: Task,
    subregion: int | None = None,
) -> Segment:
    named = label if subregion is None or subregion == UNRELIABLE else f"Sub-region {subregion}"
    return Segment(
        number=0,
        subregion=subregion,
        label=codes.plain(label, 64),
        mask=mask,
        rgb=rgb,
        category=codes.MORPHOLOGICALLY_ABNORMAL,
        type=code,
        tracking_id=named,
        task=task,
    )


def _numbered(parts: Sequence[Segment]) -> Iterator[Segment]:
    for number, part in enumerate(parts, start=1):
        yield replace(part, number=number)
