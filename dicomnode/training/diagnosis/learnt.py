"""Findings of a classifier's training: its answers to exams it had not seen, as figures."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dicomnode.inference.figures import Figure
from dicomnode.training.diagnosis.learning_curve import LearningPoint
from dicomnode.training.diagnosis.logistic import Fitted
from dicomnode.training.measured import FeatureTable
from dicomnode.training.scoring.probabilities import brier, calibration_error, errors_if_perfect
from dicomnode.training.scoring.scores import auc
from dicomnode.training.site.cohort import SiteCohort

__all__ = ["Learnt", "Reader", "figures", "learning_figures", "reader_figures", "readers_of"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """A fit, the N exams it is from, which of FEATURES it reads, and how it grew with exams."""

    table: FeatureTable
    kept: NDArray[np.intp]
    fitted: Fitted
    growth: tuple[LearningPoint, ...]

    @property
    def probability(self) -> Floats:
        """Answers (N,) to exams that the answering fold had not seen."""
        return np.asarray(expit(self.fitted.log_odds))

    @property
    def decisions(self) -> NDArray[np.str_]:
        """What those answers are to a reader (N,): "benign", "malignant" or "indeterminate"."""
        calibration, probability = self.fitted.calibration, self.probability
        benign = probability <= calibration.benign
        malignant = 1 - probability <= calibration.malignant
        decided = np.where(malignant, "malignant", "benign")
        return np.where(benign == malignant, "indeterminate", decided)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A reader's malignancy scores (N,) of the exams learnt from; NaN where there is none."""

    name: str
    scores: Floats

    @property
    def has_read(self) -> Mask:
        """Exams (N,) with a score."""
        return np.isfinite(self.scores)


def readers_of(cohort: SiteCohort, table: FeatureTable) -> tuple[Reader, ...]:
    """Gather the readers who scored at least two of the measured cases of either kind."""
    readings = {case.key: case.readings for case in cohort.cases}
    readers = (
        Reader(
            name=name,
            scores=np.array([readings[case.key].get(name, np.nan) for case in table.measured]),
        )
        for name in cohort.readers
    )
    return tuple(
        reader
        for reader in readers
        if min(np.bincount(table.is_malignant[reader.has_read], minlength=2)) >= 2
    )


def figures(learnt: Learnt, conditions: str) -> Iterator[Figure]:
    """How well the answers tell the kinds apart, and how often they decide."""
    probability, is_malignant = learnt.probability, learnt.table.is_malignant
    decided = learnt.decisions != "indeterminate"
    right = learnt.decisions == np.where(is_malignant, "malignant", "benign")
    yield _area("AUC", probability, is_malignant, conditions)
    rows = (
        ("Brier score", brier(probability, is_malignant)),
        ("expected calibration error, 10 bins", calibration_error(probability, is_malignant)),
        ("the same if every probability were true", errors_if_perfect(probability).mean()),
        ("share decided", float(decided.mean())),
        *_share("sensitivity of the decided", right[decided & is_malignant]),
        *_share("specificity of the decided", right[decided & ~is_malignant]),
    )
    for name, value in rows:
        yield _figure(name, value, conditions)


def learning_figures(learnt: Learnt, conditions: str) -> Iterator[Figure]:
    """Area under the ROC curve by the number of exams learnt from."""
    for point in learnt.growth:
        drawn = "" if point.draws == 1 else f", mean of {point.draws} draws (SD {point.auc_sd:.4f})"
        yield _figure(
            f"AUC having learnt from {point.exams} exams{drawn}",
            point.auc,
            f"exams that outer folds hold out, with the strength and l1 share "
            f"chosen on all others; {conditions}",
        )


def reader_figures(learnt: Learnt, readers: tuple[Reader, ...]) -> Iterator[Figure]:
    """Each reader beside the model on the cases that both judged."""
    for reader in readers:
        read = reader.has_read
        is_malignant = learnt.table.is_malignant[read]
        conditions = (
            f"{len(is_malignant)} cases of this site that {reader.name} scored, "
            f"{is_malignant.sum()} malignant; the model's answers are those of outer folds"
        )
        sides = {
            f"AUC of {reader.name}": reader.scores[read],
            f"AUC of the model on {reader.name}'s": learnt.probability[read],
        }
        for name, scores in sides.items():
            yield _area(name, scores, is_malignant, conditions)


def _figure(name: str, value: float, conditions: str) -> Figure:
    return Figure(name=name, value=value, conditions=conditions)


def _area(name: str, scores: Floats, is_malignant: Mask, conditions: str) -> Figure:
    area = auc(scores, is_malignant)
    return Figure(name=name, value=area.value, conditions=conditions, low=area.low, high=area.high)


def _share(name: str, right: Mask) -> list[tuple[str, float]]:
    """Share of right answers; nothing where none was given."""
    return [(name, float(right.mean()))] if right.size else []
