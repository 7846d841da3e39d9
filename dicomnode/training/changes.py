"""The ways in which an exam is measured again, to find the features that repeat."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.inference.models import LesionSegmenter, Models
from dicomnode.inference.segment import Segmentation
from dicomnode.science.findings import ModelUse
from dicomnode.science.loop import Loop

__all__ = ["CHANGES", "PAIRS", "WHOLE", "half", "redrawn"]

Mask = NDArray[np.bool_]

REDRAWN_MM = 0.5
"""How far two readers' outlines of one lesion lie inside and outside of the segmenter's."""


def half(loop: Loop, first: int) -> Loop:
    """Every other frame of a loop, from the frame ``first`` on: 0 or 1."""
    return replace(
        loop,
        contrast=loop.contrast[first::2],
        bmode=None if loop.bmode is None else loop.bmode[first::2],
        times_s=loop.times_s[first::2],
    )


def redrawn(mask: Mask, spacing_mm: tuple[float, float], by_mm: float) -> Mask:
    """Move an outline outwards by so many millimetres, inwards where negative; a pixel at least."""
    reach_mm = max(abs(by_mm), *spacing_mm)
    if by_mm > 0:
        return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing_mm) <= reach_mm)
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=spacing_mm) > reach_mm)


@dataclass(frozen=True)
class _Redrawing:
    """A segmenter whose outlines are moved."""

    segmenter: LesionSegmenter
    by_mm: float

    @property
    def use(self) -> ModelUse:
        return self.segmenter.use

    def segment(
        self, images: Mapping[str, NDArray[np.float32]], spacing_mm: tuple[float, float]
    ) -> Segmentation:
        found = self.segmenter.segment(images, spacing_mm)
        if not found.mask.any():
            return found
        return replace(found, mask=redrawn(found.mask, spacing_mm, self.by_mm))


def _with_outline(models: Models, by_mm: float) -> Models:
    return replace(models, segmenter=_Redrawing(models.segmenter, by_mm))


WHOLE = ""
CHANGES: Mapping[str, Callable[[Loop, Models], tuple[Loop, Models]]] = {
    WHOLE: lambda loop, models: (loop, models),
    "even": lambda loop, models: (half(loop, 0), models),
    "odd": lambda loop, models: (half(loop, 1), models),
    "tight": lambda loop, models: (loop, _with_outline(models, -REDRAWN_MM)),
    "wide": lambda loop, models: (loop, _with_outline(models, REDRAWN_MM)),
}
"""The ways in which an exam is measured: as it is, and again."""

PAIRS: Mapping[str, tuple[str, str]] = {
    "even and odd frames": ("even", "odd"),
    f"outlines {REDRAWN_MM:g} mm tighter and wider": ("tight", "wide"),
}
"""Two measurements each that a feature worth learning from does not tell apart."""
