"""Measure how well the bundles do on simulated exams that no training has seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from dicomnode.errors import RefusedError
from dicomnode.inference.bundle import Figure
from dicomnode.inference.models import Models, load_models
from dicomnode.pipeline import Recipe, measure
from dicomnode.training.exams import Case, cases, on_reference
from dicomnode.training.scores import agreement, auc, dice

__all__ = ["Evaluation", "EvaluationSettings", "Outcome", "evaluate", "evaluate_bundles"]


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What is evaluated, and on how many exams."""

    models: Path
    exams: int = 20
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One exam against its truth; scores are None where the exam was refused.

    Attributes
    ----------
    answer : str
        "malignant", "benign", "indeterminate", or the code of the first reason of a refusal.
    """

    case: Case
    answer: str
    malignant_probability: float | None = None
    lesion_dice: float | None = None
    subregion_rand: float | None = None
    subregion_same: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All outcomes, what they add up to, and the confusion of kinds with answers."""

    outcomes: tuple[Outcome, ...]
    figures: tuple[Figure, ...]
    confusion: dict[tuple[str, str], int]
    """(true kind, answer) to number of exams."""


def evaluate_bundles(settings: EvaluationSettings) -> Evaluation:
    """Load the bundles and evaluate them on the evaluation cohort."""
    chosen = cases("evaluation", settings.exams, settings.seed)
    return evaluate(load_models(settings.models), chosen)


def evaluate(models: Models, chosen: Sequence[Case]) -> Evaluation:
    """Analyse simulated exams as the node does and compare with their truth."""
    outcomes = tuple(_outcome(models, case) for case in track(chosen, "evaluating"))
    confusion: dict[tuple[str, str], int] = {}
    for outcome in outcomes:
        key = outcome.case.kind, outcome.answer
        confusion[key] = confusion.get(key, 0) + 1
    return Evaluation(outcomes=outcomes, figures=_figures(outcomes), confusion=confusion)


def _outcome(models: Models, case: Case) -> Outcome:
    exam = case.simulate()
    try:
        findings = measure(exam.loop, models, Recipe())
    except RefusedError as refused:
        codes = tuple(reason.code for reason in refused.reasons)
        return Outcome(case=case, answer=codes[0], reasons=codes)
    lesion = on_reference(exam.truth.lesion_mask, exam, findings.reference_frame)
    habitats = on_reference(exam.truth.subregion_map, exam, findings.reference_frame)
    alike = agreement(findings.subregion_map, habitats)
    return Outcome(
        case=case,
        answer=findings.diagnosis.decision,
        malignant_probability=findings.diagnosis.malignant_probability,
        lesion_dice=dice(findings.lesion_mask, lesion),
        subregion_rand=alike.rand,
        subregion_same=alike.same,
        reasons=tuple(reason.code for reason in findings.diagnosis.reasons),
    )


def _figures(outcomes: Sequence[Outcome]) -> tuple[Figure, ...]:
    means = [
        _mean("mean lesion Dice", [each.lesion_dice for each in outcomes]),
        _mean("mean sub-region adjusted Rand index", [each.subregion_rand for each in outcomes]),
        _mean("mean share of pixels with true number", [each.subregion_same for each in outcomes]),
        *_diagnosis(outcomes),
    ]
    return tuple(figure for figure in means if figure is not None)


def _mean(name: str, values: Sequence[float | None]) -> Figure | None:
    known = [value for value in values if value is not None]
    return _figure(name, float(np.mean(known)), len(known)) if known else None


def _figure(name: str, value: float, count: int) -> Figure:
    return Figure(
        name=name,
        value=round(value, 4),
        conditions=f"{count} simulated exams, preset small, of seeds no training uses",
    )


def _diagnosis(outcomes: Sequence[Outcome]) -> list[Figure | None]:
    answered = [each for each in outcomes if each.malignant_probability is not None]
    positive = np.array([each.case.is_malignant for each in answered], np.bool_)
    scores = np.array([each.malignant_probability for each in answered], np.float64)
    figures: list[Figure | None] = []
    if min(positive.sum(), (~positive).sum()) >= 2:
        area = auc(scores, positive)
        figures += [
            _figure(f"AUC{which}", value, len(answered))
            for which, value in (
                ("", area.value),
                (", lower end of DeLong's 95 % interval", area.low),
                (", upper end of DeLong's 95 % interval", area.high),
            )
        ]
    for name, kind in (("sensitivity", "malignant"), ("specificity", "benign")):
        decided = [
            float(each.answer == kind)
            for each in outcomes
            if each.case.kind == kind and each.answer in {"malignant", "benign"}
        ]
        figures.append(_mean(f"{name} of the decided", decided))
    figures.append(
        _mean("share indeterminate", [float(e.answer == "indeterminate") for e in outcomes])
    )
    return figures
