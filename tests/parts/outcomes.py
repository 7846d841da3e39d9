"""Made-up outcomes of an evaluation."""

from dataclasses import replace

import numpy as np

from dicomnode.science.findings import ModelUse
from dicomnode.training.evaluation.figures import Score
from dicomnode.training.evaluation.outcomes import Outcome
from dicomnode.training.exams import Case, cases

__all__ = ["USE", "by_name", "outcomes"]

USE = ModelUse(
    name="classifier", version="1", task="classification", sha256="0" * 64,
    manifest_sha256="1" * 64, trained_on="nothing",
)  # fmt: skip


def _outcome(case: Case, rng: np.random.Generator) -> Outcome:
    """An answer that is right more often than not, from a lesion that hardly tells."""
    probability = float(np.clip(0.5 + 0.3 * (2 * case.is_malignant - 1) + rng.normal(0, 0.3), 0, 1))
    sure = abs(probability - 0.5) > 0.1
    return Outcome(
        case=case,
        answer=("benign", "malignant")[probability > 0.5] if sure else "indeterminate",
        malignant_probability=probability,
        lesion_dice=0.9,
        subregion_rand=0.7,
        subregion_same=0.8,
        mean_curve=tuple(rng.normal(size=4)),
        reasons=() if sure else ("both-possible",),
    )


def outcomes(seed: int = 0, count: int = 40) -> list[Outcome]:
    rng = np.random.default_rng(seed)
    found = [_outcome(case, rng) for case in cases("evaluation", count)]
    refused = Outcome(case=found[0].case, answer="no-lesion", reasons=("no-lesion",))
    far = replace(
        found[1],
        answer="indeterminate",
        malignant_probability=None,
        reasons=("out-of-distribution",),
    )
    return [refused, far, *found[2:]]


def by_name(scores: tuple[Score, ...]) -> dict[str, Score]:
    return {score.name: score for score in scores}
