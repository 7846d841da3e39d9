"""Exams against their truth: each is simulated once and analysed as the node does."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from dicomnode.errors import RefusedError
from dicomnode.inference.models import Models, load_models
from dicomnode.pipeline import measure
from dicomnode.recipe import Recipe
from dicomnode.simulation.exam import SimulatedExam
from dicomnode.training.exams import Case, on_reference
from dicomnode.training.processes import shared_out
from dicomnode.training.scoring.overlap import overlap
from dicomnode.training.scoring.scores import agreement

__all__ = ["MEAN_CURVE", "Outcome", "analyse_all"]

MEAN_CURVE = ("ttp", "mtt", "wash_out_50s", "relative_log_pe")
"""Features that a reader of the lesion's time-intensity curve would have, too."""

_SETS = {"both-possible": {"malignant", "benign"}, "neither-typical": set[str]()}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One exam against its truth; scores are None where the exam was refused.

    Attributes
    ----------
    answer : str
        "malignant", "benign", "indeterminate", or the code of the first reason of a refusal.
    mean_curve : tuple of float
        The lesion's features by the names of :data:`MEAN_CURVE`.
    """

    case: Case
    answer: str
    malignant_probability: float | None = None
    lesion_dice: float | None = None
    subregion_rand: float | None = None
    subregion_same: float | None = None
    mean_curve: tuple[float, ...] | None = None
    reasons: tuple[str, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether the answer is one of the two kinds."""
        return self.answer in {"malignant", "benign"}

    @property
    def is_right(self) -> bool:
        """Whether the answer is the true kind; an exam without a decision is not answered right."""
        return self.answer == self.case.kind

    @property
    def covers_truth(self) -> bool:
        """Whether the conformal set of an exam with a probability holds its true kind."""
        (possible,) = [_SETS[code] for code in self.reasons if code in _SETS] or [{self.answer}]
        return self.case.kind in possible


def analyse_all(
    folders: Sequence[Path], cases: Sequence[Case], jobs: int
) -> list[tuple[Outcome, ...]]:
    """Analyse the exams with the bundles of each folder.

    Parameters
    ----------
    folders : sequence of Path
        Folders of bundles; every exam is simulated once for all of them.
    cases : sequence of Case
    jobs : int
        Processes that share the exams. Their number changes nothing but the time.

    Returns
    -------
    list of tuple
        Exam by exam, one outcome for each folder.
    """
    work = partial(_analysed, tuple(folders))
    return list(shared_out(work, cases, jobs, "evaluating"))


@cache
def _loaded(folders: tuple[Path, ...]) -> list[Models]:
    """Load the models once in a process."""
    return [load_models(folder) for folder in folders]


def _analysed(folders: tuple[Path, ...], case: Case) -> tuple[Outcome, ...]:
    exam = case.simulate()
    return tuple(_outcome(each, case, exam) for each in _loaded(folders))


def _outcome(models: Models, case: Case, exam: SimulatedExam) -> Outcome:
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
        lesion_dice=overlap(findings.lesion_mask, lesion).dice,
        subregion_rand=alike.rand,
        subregion_same=alike.same,
        mean_curve=tuple(findings.features[name] for name in MEAN_CURVE),
        reasons=tuple(reason.code for reason in findings.diagnosis.reasons),
    )
