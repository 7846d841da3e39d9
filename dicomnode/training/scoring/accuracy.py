"""Content of a page on a classifier's accuracy, from its answers and the truth."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.report.accuracy import Accuracy, Caption
from dicomnode.report.panels import Calibration, Confusion, DecisionCurve, Roc
from dicomnode.training.scoring.probabilities import (
    brier,
    calibration_error,
    net_benefit,
    reliability,
    roc,
)
from dicomnode.training.scoring.scores import auc
from dicomnode.training.scoring.statistics import wilson

__all__ = ["KINDS", "Scored", "accuracy", "confusion"]

KINDS = ("malignant", "benign")
THRESHOLDS = np.linspace(0.01, 0.99, 99)

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Someone's scores (M,) of exams, higher for malignant, and the truth of these; two of a kind.

    ``note`` is a further line in the legend.
    """

    name: str
    scores: Floats
    is_malignant: Mask
    note: str = ""


def accuracy(
    probability: Floats,
    is_malignant: Mask,
    *,
    beside: Sequence[Scored],
    confusions: tuple[Confusion, Confusion],
    caption: Caption,
) -> Accuracy:
    """Turn a classifier's answers into ROC, calibration and decision curve.

    Parameters
    ----------
    probability : ndarray of float64, shape (N,)
        Of malignancy.
    is_malignant : ndarray of bool, shape (N,)
        At least two of either kind.
    beside : sequence of Scored
        At most three whose ROC curves stand beside the classifier's.
    confusions : tuple of Confusion
        At the operating point, and of the answers as a reader gets them.
    """
    ours = Scored(name="classifier", scores=probability, is_malignant=is_malignant)
    return Accuracy(
        caption=caption,
        roc=tuple(_curve(each) for each in (ours, *beside)),
        calibration=_calibration(probability, is_malignant),
        decision_curve=_decision_curve(probability, is_malignant),
        confusions=confusions,
    )


def confusion(
    name: str,
    truth: Sequence[str],
    answers: Sequence[str],
    columns: tuple[str, ...],
    whose: str = "",
) -> Confusion:
    """Count answers by truth, and say what they come to.

    Parameters
    ----------
    truth : sequence of str
        Each of :data:`KINDS`.
    answers : sequence of str
        Each one of the columns.
    columns : tuple of str
        KINDS, then the answers that decide nothing: sensitivity and specificity are without them.
    whose : str
        Comes before sensitivity and specificity.
    """
    pairs = Counter(zip(truth, answers, strict=True))
    count = np.array([[pairs[kind, answer] for answer in columns] for kind in KINDS])
    shares = (
        f"{word} {_share(int(row[number]), int(row[: len(KINDS)].sum()))}"
        for number, (word, row) in enumerate(
            zip(("sensitivity", "specificity"), count, strict=True)
        )
    )
    return Confusion(
        name=name,
        truths=KINDS,
        answers=columns,
        count=count,
        words=whose + " · ".join(shares),
    )


def _share(hits: int, count: int) -> str:
    """A share with Wilson's interval; a dash where there is nothing to share."""
    if not count:
        return "–"
    share = wilson(hits, count)
    return f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})"


def _curve(scored: Scored) -> Roc:
    area = auc(scored.scores, scored.is_malignant)
    spread = "" if area.low is None else f" ({area.low:.2f} to {area.high:.2f})"
    false_positive, true_positive = roc(scored.scores, scored.is_malignant)
    return Roc(
        name=scored.name,
        area=f"{area.value:.3f}{spread}",
        false_positive=false_positive,
        true_positive=true_positive,
        note=scored.note,
    )


def _calibration(probability: Floats, is_malignant: Mask) -> Calibration:
    bins = reliability(probability, is_malignant)
    shares = [wilson(*each) for each in zip(bins.hits.tolist(), bins.count.tolist(), strict=True)]
    error = calibration_error(probability, is_malignant)
    return Calibration(
        predicted=bins.predicted,
        share=np.array([each.value for each in shares]),
        low=np.array([each.low for each in shares]),
        high=np.array([each.high for each in shares]),
        count=bins.count,
        words=f"Brier {brier(probability, is_malignant):.2f} · calibration error {error:.2f}",
    )


def _decision_curve(probability: Floats, is_malignant: Mask) -> DecisionCurve:
    benefit = {
        "classifier": net_benefit(probability, is_malignant, THRESHOLDS),
        "act on all": net_benefit(np.ones(len(probability)), is_malignant, THRESHOLDS),
        "act on none": np.zeros(len(THRESHOLDS)),
    }
    return DecisionCurve(thresholds=THRESHOLDS, benefit=benefit)
