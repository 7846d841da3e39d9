"""The figures of an evaluation: what outcomes add up to, each with its interval and count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.inference.bundle import Calibration, Task
from dicomnode.training.evaluation import baselines
from dicomnode.training.evaluation.outcomes import Outcome
from dicomnode.training.scoring.probabilities import (
    brier,
    calibration_error,
    coverages_if_exchangeable,
    errors_if_perfect,
    specificity_at,
)
from dicomnode.training.scoring.scores import auc
from dicomnode.training.scoring.statistics import delong, mcnemar, mean_of, wilson

__all__ = ["OPERATING_POINT", "Answers", "Score", "answers_of", "compared", "figures"]

OPERATING_POINT = 0.5
"""Probability from which on an exam counts as called malignant."""

SENSITIVITY = 0.92
"""At which specificities are compared; a missed cancer is worse than a needless biopsy."""

LAYOUTS = {
    "dual pane": {"mono-left", "contrast-left", "wide-header"},
    "stacked": {"stacked"},
    "single pane": {"single"},
}

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One figure of ``count`` exams; with a 95 % interval and a two-sided p where it has them.

    ``task`` is that of the bundle that it is a figure of.
    """

    name: str
    value: float
    count: int
    task: Task = "classification"
    low: float | None = None
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The N exams with a probability, and what the baselines say of the same exams.

    ``oracle`` and ``mean_curve`` are log-odds; None with fewer than two exams of either kind.
    """

    is_malignant: NDArray[np.bool_]
    probability: Floats
    oracle: Floats | None = None
    mean_curve: Floats | None = None

    @property
    def called(self) -> NDArray[np.bool_]:
        """(N,): exams called malignant at the operating point."""
        return np.asarray(self.probability >= OPERATING_POINT)


def answers_of(outcomes: Sequence[Outcome]) -> Answers:
    """Gather the probabilities, and the baselines' answers to those same exams."""
    answered = [each for each in outcomes if each.malignant_probability is not None]
    is_malignant = np.array([each.case.is_malignant for each in answered], np.bool_)
    enough = min(is_malignant.sum(), (~is_malignant).sum()) >= 2
    return Answers(
        is_malignant=is_malignant,
        probability=np.array([each.malignant_probability for each in answered], np.float64),
        oracle=baselines.oracle(answered) if enough else None,
        mean_curve=baselines.mean_curve(answered) if enough else None,
    )


def figures(
    outcomes: Sequence[Outcome], answers: Answers, calibration: Calibration | None = None
) -> tuple[Score, ...]:
    """All figures that the outcomes allow; what would rest on no exam is left out.

    The classifier's calibration tells what conformal coverage may be by chance.
    """
    return (
        *_pictures(outcomes),
        *_areas(answers),
        *_probabilities(answers),
        *_decisions(outcomes, calibration),
    )


def compared(first: Sequence[Outcome], second: Sequence[Outcome]) -> tuple[Score, ...]:
    """Compare two sets of outcomes of the same exams, in the same order.

    The areas under the ROC curve are those of the exams to which both give a probability; an
    answer is right if it is the true kind, wrong if it is the other, indeterminate or a refusal.
    """
    right, right_too = (
        np.array([each.is_right for each in side], np.bool_) for side in (first, second)
    )
    answers = mcnemar(right, right_too)
    return (
        *_gap_of(first, second),
        Score(
            name="share of right answers, difference (McNemar)",
            value=float(right.mean() - right_too.mean()),
            count=len(right),
            p=answers.p,
        ),
        Score(name="exams only the first gets right", value=answers.only_first, count=len(right)),
        Score(name="exams only the second gets right", value=answers.only_second, count=len(right)),
    )


def _gap_of(first: Sequence[Outcome], second: Sequence[Outcome]) -> Iterator[Score]:
    both = [
        (one.malignant_probability, other.malignant_probability, one.case.is_malignant)
        for one, other in zip(first, second, strict=True)
        if one.malignant_probability is not None and other.malignant_probability is not None
    ]
    one, other, is_malignant = np.array(both, np.float64).reshape(-1, 3).T
    positive = is_malignant > 0
    if min(positive.sum(), (~positive).sum()) >= 2:
        yield _gap("AUC, difference (DeLong)", one, other, positive)


def _gap(name: str, first: Floats, second: Floats, positive: NDArray[np.bool_]) -> Score:
    gap = delong(first, second, positive)
    return Score(
        name=name, value=gap.value, low=gap.low, high=gap.high, p=gap.p, count=len(positive)
    )


def _pictures(outcomes: Sequence[Outcome]) -> Iterator[Score]:
    outlined = {"": outcomes} | {
        f", {words}": [each for each in outcomes if each.case.recipe.display.layout in layouts]
        for words, layouts in LAYOUTS.items()
    }
    for words, shown in outlined.items():
        dices = [each.lesion_dice for each in shown]
        yield from _mean("segmentation", f"mean lesion Dice{words}", dices)
    divided = {
        "mean sub-region adjusted Rand index": [each.subregion_rand for each in outcomes],
        "mean share of pixels with true number": [each.subregion_same for each in outcomes],
    }
    for name, values in divided.items():
        yield from _mean("sub-regions", name, values)


def _mean(task: Task, name: str, values: Sequence[float | None]) -> Iterator[Score]:
    known = [value for value in values if value is not None]
    if known:
        yield Score(name=name, task=task, **vars(mean_of(known)))


def _areas(answers: Answers) -> Iterator[Score]:
    truth, ours = answers.is_malignant, answers.probability
    if answers.oracle is None or answers.mean_curve is None:
        return
    sides = {
        "": ours,
        " of the oracle (true habitats)": answers.oracle,
        " of the mean curve (cross-validated)": answers.mean_curve,
    }
    areas = [auc(scores, truth) for scores in sides.values()]
    for whose, area in zip(sides, areas, strict=True):
        yield Score(
            name=f"AUC{whose}", value=area.value, low=area.low, high=area.high, count=len(truth)
        )
    for whose, scores in sides.items():
        yield Score(
            name=f"specificity{whose}, sensitivity {SENSITIVITY:.0%}",
            value=specificity_at(SENSITIVITY, scores, truth),
            count=len(truth),
        )
    if areas[1].value > 0:
        yield Score(
            name="AUC, share of the oracle's",
            value=areas[0].value / areas[1].value,
            count=len(truth),
        )
    yield _gap("AUC minus that of the mean curve (DeLong)", ours, answers.mean_curve, truth)


def _probabilities(answers: Answers) -> Iterator[Score]:
    truth, ours = answers.is_malignant, answers.probability
    if len(truth):
        yield Score(name="Brier score", value=brier(ours, truth), count=len(truth))
        error = calibration_error(ours, truth)
        yield Score(name="expected calibration error, 10 bins", value=error, count=len(truth))
        chance = errors_if_perfect(ours)
        low, high = np.quantile(chance, (0.025, 0.975))
        yield Score(
            name="the same if every probability were true", value=float(chance.mean()),
            low=float(low), high=float(high), count=len(truth),
        )  # fmt: skip
    at = f"at probability {OPERATING_POINT:g}"
    yield from _share(f"sensitivity {at}", answers.called[truth].tolist())
    yield from _share(f"specificity {at}", (~answers.called)[~truth].tolist())


def _decisions(outcomes: Sequence[Outcome], calibration: Calibration | None) -> Iterator[Score]:
    for name, kind in (("sensitivity", "malignant"), ("specificity", "benign")):
        decided = [each.is_right for each in _of(kind, outcomes) if each.is_decided]
        yield from _share(f"{name} of the decided", decided)
    for kind in ("malignant", "benign"):
        answered = [each for each in _of(kind, outcomes) if each.malignant_probability is not None]
        covered = [each.covers_truth for each in answered]
        yield from _share(f"conformal coverage, {kind}", covered)
        if calibration and covered:
            yield _coverage_by_chance(calibration, kind, len(covered))
    indeterminate = [each.answer == "indeterminate" for each in outcomes]
    yield from _share("share indeterminate", indeterminate)
    silent = [each.malignant_probability is None for each in outcomes]
    yield from _share("share refused or without a probability", silent)


def _coverage_by_chance(calibration: Calibration, kind: str, exams: int) -> Score:
    calibrated_on = calibration.is_malignant.count(kind == "malignant")
    mean, low, high = coverages_if_exchangeable(calibration.coverage, calibrated_on, exams).tolist()
    return Score(
        name=f"the same if exams were as those learnt from, {kind}",
        value=mean, low=low, high=high, count=exams,
    )  # fmt: skip


def _of(kind: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [each for each in outcomes if each.case.kind == kind]


def _share(name: str, hits: Sequence[bool]) -> Iterator[Score]:
    if hits:
        found = wilson(sum(hits), len(hits))
        yield Score(name=name, value=found.value, low=found.low, high=found.high, count=found.count)
