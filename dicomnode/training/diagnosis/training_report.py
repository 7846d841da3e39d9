"""The page on a classifier's training, from its answers to exams it had not seen."""

from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from dicomnode.report.accuracy import Accuracy, Caption, training_page
from dicomnode.report.learning_curve import LearningCurve
from dicomnode.report.style import shorten
from dicomnode.training.diagnosis.learning_curve import DRAWS
from dicomnode.training.diagnosis.learnt import Learnt, Reader
from dicomnode.training.evaluation.figures import OPERATING_POINT
from dicomnode.training.scoring.accuracy import KINDS, Scored, accuracy, confusion
from dicomnode.training.scoring.scores import auc

__all__ = ["training_report"]

MOST_READERS = 3
"""Whose ROC curves can be told apart beside the classifier's."""

FITTED = (
    "The conformal thresholds were fitted to these same answers: decisions look a little better "
    "than they are."
)
GROWN = (
    "Learning curve: models refitted to some of each outer fold's exams, with the penalty chosen "
    "on all of them, and judged by the exams that the fold holds out."
)


def training_report(learnt: Learnt, readers: Sequence[Reader], caption: Caption) -> bytes:
    """Draw the page, a PNG of 1400 x 1800 pixels."""
    busiest = sorted(readers, key=lambda each: -each.has_read.sum())
    shown, others = busiest[:MOST_READERS], busiest[MOST_READERS:]
    remarks = [FITTED, GROWN]
    if others:
        names = ", ".join(each.name for each in others)
        remarks.append(shorten(f"Readers on the card only: {names}", 200))
    page = training_page(_accuracy(learnt, shown, caption), _learning_curve(learnt), remarks)
    written = BytesIO()
    Image.fromarray(page).save(written, "PNG")
    return written.getvalue()


def _accuracy(learnt: Learnt, readers: Sequence[Reader], caption: Caption) -> Accuracy:
    probability, is_malignant = learnt.probability, learnt.table.is_malignant
    truth = np.where(is_malignant, *KINDS).tolist()
    called = np.where(probability >= OPERATING_POINT, *KINDS).tolist()
    decided = learnt.decisions.tolist()
    return accuracy(
        probability,
        is_malignant,
        beside=tuple(_beside(learnt, readers)),
        confusions=(
            confusion(f"At probability {OPERATING_POINT:g}", truth, called, KINDS),
            confusion("As answered", truth, decided, (*KINDS, "indeterminate"), "of the decided: "),
        ),
        caption=caption,
    )


def _beside(learnt: Learnt, readers: Sequence[Reader]) -> Iterator[Scored]:
    """Each reader, with the classifier's area on the same exams."""
    for reader in readers:
        read = reader.has_read
        is_malignant = learnt.table.is_malignant[read]
        ours = auc(learnt.probability[read], is_malignant).value
        yield Scored(
            name=shorten(reader.name, 24),
            scores=reader.scores[read],
            is_malignant=is_malignant,
            note=f"(the classifier on these {len(is_malignant)}: {ours:.3f})",
        )


def _learning_curve(learnt: Learnt) -> LearningCurve:
    growth, share = learnt.growth, float(learnt.table.is_malignant.mean())
    return LearningCurve(
        exams=np.array([point.exams for point in growth], np.int64),
        auc=np.array([point.auc for point in growth]),
        auc_sd=np.array([point.auc_sd for point in growth]),
        log_loss=np.array([point.log_loss for point in growth]),
        log_loss_sd=np.array([point.log_loss_sd for point in growth]),
        chance=-share * np.log(share) - (1 - share) * np.log(1 - share),
        bundle=len(learnt.table.measured),
        words=f"mean and SD of {DRAWS} draws; at the right, all exams of a fold",
    )
