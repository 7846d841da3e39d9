"""The bundles that one analysis needs, loaded and checked together."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Bundle, Task, load
from dicomnode.inference.classify import Classifier
from dicomnode.inference.segment import Image, Segmentation, Segmenter
from dicomnode.science.findings import Diagnosis, ModelUse
from dicomnode.science.subregions.codebook import Codebook

__all__ = [
    "BUNDLES",
    "LesionClassifier",
    "LesionSegmenter",
    "Models",
    "load_models",
    "read_codebook",
]


BUNDLES: Mapping[str, Task] = {
    "segmenter": "segmentation",
    "codebook": "sub-regions",
    "classifier": "classification",
}
"""Folders of the bundles in the order in which they have their part, and what each is for."""


class LesionSegmenter(Protocol):
    """Whatever finds the lesion; a :class:`Segmenter` in the node."""

    @property
    def use(self) -> ModelUse:
        """What a result says about it."""

    def segment(self, images: Mapping[str, Image], spacing_mm: tuple[float, float]) -> Segmentation:
        """Find the lesion on summary images."""


class LesionClassifier(Protocol):
    """Whatever turns lesion features into a diagnosis; a :class:`Classifier`, once there is one."""

    @property
    def use(self) -> ModelUse:
        """What a result says about it."""

    def classify(self, features: Mapping[str, float], /) -> Diagnosis:
        """Answer from lesion features."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """Segmenter, sub-region codebook and classifier."""

    segmenter: LesionSegmenter
    codebook: Codebook
    codebook_use: ModelUse
    classifier: LesionClassifier

    @property
    def uses(self) -> tuple[ModelUse, ...]:
        """Every bundle that has a part in a result."""
        return self.segmenter.use, self.codebook_use, self.classifier.use


def load_models(directory: Path) -> Models:
    """Load :data:`BUNDLES` below ``directory``.

    Raises
    ------
    BundleError
        One of them is missing, tampered with or for another task.
    """
    segmenter, codebook, classifier = (
        _of_task(directory / name, task) for name, task in BUNDLES.items()
    )
    return Models(
        segmenter=Segmenter(segmenter),
        codebook=read_codebook(codebook),
        codebook_use=codebook.use,
        classifier=Classifier(classifier),
    )


def read_codebook(bundle: Bundle) -> Codebook:
    """Parse the codebook of a bundle of task "sub-regions"."""
    try:
        return Codebook.from_json(bundle.content.decode("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"bundle {bundle.name}: not a codebook: {error}") from error


def _of_task(directory: Path, task: Task) -> Bundle:
    bundle = load(directory)
    if bundle.task != task:
        raise BundleError(f"bundle {bundle.name}: expected task {task!r}, got {bundle.task!r}")
    return bundle
