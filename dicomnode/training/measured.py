"""Lesion features of simulated exams, measured by the node's own function and kept on disk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from dicomnode.errors import RefusedError
from dicomnode.inference.bundle import load
from dicomnode.inference.models import Models, read_codebook
from dicomnode.inference.segment import Segmenter
from dicomnode.pipeline import SCHEMA_VERSION, Recipe, measure
from dicomnode.science.features import FEATURES
from dicomnode.science.findings import Diagnosis, ModelUse
from dicomnode.science.loop import Loop
from dicomnode.training.exams import Case

__all__ = ["FeatureTable", "Notebook", "half", "undecided_models"]

Row = list[float] | None
"""A lesion's features in the order of FEATURES; None where the exam was refused."""


class _Undecided:
    """Stands where the classifier will: the node's own function then yields features only."""

    use = ModelUse(
        name="undecided", version="0", task="classification", sha256="", trained_on="nothing"
    )

    def classify(self, _features: Mapping[str, float], /) -> Diagnosis:
        """Say nothing about any lesion."""
        return Diagnosis.withheld()


def undecided_models(directory: Path) -> Models:
    """Load the ``segmenter`` and ``codebook`` bundles; no classifier is needed yet."""
    codebook = load(directory / "codebook")
    return Models(
        segmenter=Segmenter(load(directory / "segmenter")),
        codebook=read_codebook(codebook),
        codebook_use=codebook.use,
        classifier=_Undecided(),
    )


def half(loop: Loop, first: int) -> Loop:
    """Every other frame of a loop, from the frame ``first`` on: 0 or 1."""
    return replace(
        loop,
        contrast=loop.contrast[first::2],
        bmode=None if loop.bmode is None else loop.bmode[first::2],
        times_s=loop.times_s[first::2],
    )


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features (N, len(FEATURES)) of the exams that were not refused, and their labels (N,)."""

    features: NDArray[np.float64]
    is_malignant: NDArray[np.bool_]
    refused: int


class Notebook:
    """Measures exams and remembers them in a file that only these models may add to.

    Parameters
    ----------
    work : Path
        Folder of the file; an interrupted run goes on from it.
    models : Models
    """

    def __init__(self, work: Path, models: Models) -> None:
        work.mkdir(parents=True, exist_ok=True)
        digests = "-".join(use.sha256[:8] for use in models.uses[:2])
        self._path = work / f"features-{SCHEMA_VERSION}-{digests}.jsonl"
        self._models = models
        self._rows: dict[str, Row] = {}
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8").splitlines()
            self._rows = dict(json.loads(line) for line in lines)

    def table(self, cases: Sequence[Case]) -> FeatureTable:
        """Measure whole exams."""
        rows = [self._whole(case) for case in track(cases, "measuring")]
        known = [(row, case) for row, case in zip(rows, cases, strict=True) if row is not None]
        return FeatureTable(
            features=np.array([row for row, _ in known]).reshape(len(known), len(FEATURES)),
            is_malignant=np.array([case.is_malignant for _, case in known], np.bool_),
            refused=len(rows) - len(known),
        )

    def halves(self, cases: Sequence[Case]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Measure exams twice, on the even and on the odd frames; two (N, len(FEATURES))."""
        pairs = [self._halves(case) for case in track(cases, "measuring twice")]
        both = [(one, other) for one, other in pairs if one is not None and other is not None]
        stacked = np.array(both).reshape(len(both), 2, len(FEATURES))
        return stacked[:, 0], stacked[:, 1]

    def _whole(self, case: Case) -> Row:
        key = f"{case.seed}"
        return self._rows[key] if key in self._rows else self._note(key, case.simulate().loop)

    def _halves(self, case: Case) -> tuple[Row, Row]:
        keys = f"{case.seed} even", f"{case.seed} odd"
        if not all(key in self._rows for key in keys):
            loop = case.simulate().loop
            for first, key in enumerate(keys):
                self._note(key, half(loop, first))
        return self._rows[keys[0]], self._rows[keys[1]]

    def _note(self, key: str, loop: Loop) -> Row:
        row = _row(loop, self._models)
        self._rows[key] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, row]) + "\n")
        return row


def _row(loop: Loop, models: Models) -> Row:
    try:
        features = measure(loop, models, Recipe()).features
    except RefusedError:
        return None
    return [features[feature.name] for feature in FEATURES]
