"""Measure how well the bundles do on simulated exams that no training has seen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dicomnode.inference.bundle import Calibration, load
from dicomnode.inference.models import load_models
from dicomnode.science.findings import ModelUse
from dicomnode.training.evaluation.figures import Answers, Score, answers_of, compared, figures
from dicomnode.training.evaluation.outcomes import Outcome, analyse_all
from dicomnode.training.exams import cases

__all__ = [
    "COHORTS",
    "NOTICE",
    "Cohort",
    "Evaluation",
    "EvaluationSettings",
    "assembled",
    "evaluate_bundles",
]

NOTICE = "simulated exams: not clinical accuracy"

Cohort = Literal["held-out", "shifted"]

COHORTS: Mapping[Cohort, str] = {
    "held-out": "simulated exams, preset small, of seeds no training uses",
    "shifted": "simulated exams, preset small, of seeds no training uses, by a scanner none knows",
}


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What is evaluated, and on how many exams.

    Attributes
    ----------
    models : Path
        Folder of bundles.
    against : Path, optional
        Another one, for comparison on the same exams.
    cohort : str
        "held-out", or "shifted": the same patients seen by another make of scanner, see
        :data:`dicomnode.simulation.cohort.SHIFTED`.
    jobs : int
        Processes that share the exams; no figure depends on it.
    """

    models: Path
    against: Path | None = None
    cohort: Cohort = "held-out"
    exams: int = 20
    seed: int = 1
    jobs: int = 1


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All outcomes of one folder of bundles, and what they add up to.

    Attributes
    ----------
    uses : tuple of ModelUse
        The bundles.
    confusion : mapping of (true kind, answer) to number of exams
    against : Evaluation, optional
        Of the other folder.
    comparison : tuple of Score
        This one minus the other.
    """

    uses: tuple[ModelUse, ...]
    cohort: Cohort
    outcomes: tuple[Outcome, ...]
    answers: Answers
    figures: tuple[Score, ...]
    confusion: Mapping[tuple[str, str], int]
    against: "Evaluation | None" = None
    comparison: tuple[Score, ...] = ()

    @property
    def conditions(self) -> str:
        """What the figures were obtained on."""
        return f"{len(self.outcomes)} {COHORTS[self.cohort]}"


def evaluate_bundles(settings: EvaluationSettings) -> Evaluation:
    """Evaluate one folder of bundles, or two, on the evaluation cohort."""
    chosen = [
        replace(case, is_shifted=settings.cohort == "shifted")
        for case in cases("evaluation", settings.exams, settings.seed)
    ]
    folders = [settings.models] if settings.against is None else [settings.models, settings.against]
    evaluated = [(load_models(folder).uses, _calibration(folder)) for folder in folders]
    analysed = analyse_all(folders, chosen, settings.jobs)
    found, *others = (
        assembled(uses, settings.cohort, outcomes, calibration)
        for (uses, calibration), outcomes in zip(
            evaluated, zip(*analysed, strict=True), strict=True
        )
    )
    if not others:
        return found
    comparison = compared(found.outcomes, others[0].outcomes)
    return replace(found, against=others[0], comparison=comparison)


def _calibration(folder: Path) -> Calibration | None:
    return load(folder / "classifier").manifest.calibration


def assembled(
    uses: tuple[ModelUse, ...],
    cohort: Cohort,
    outcomes: Sequence[Outcome],
    calibration: Calibration | None = None,
) -> Evaluation:
    """Put together what the outcomes of these bundles come to."""
    answers = answers_of(outcomes)
    return Evaluation(
        uses=uses,
        cohort=cohort,
        outcomes=tuple(outcomes),
        answers=answers,
        figures=figures(outcomes, answers, calibration),
        confusion=Counter((outcome.case.kind, outcome.answer) for outcome in outcomes),
    )
