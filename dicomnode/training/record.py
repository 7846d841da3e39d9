"""Write an evaluation down: every figure and outcome as JSON, and a page to look at."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicomnode import __version__
from dicomnode.report.accuracy import (
    Accuracy,
    Calibration,
    Confusion,
    DecisionCurve,
    Roc,
    accuracy_page,
)
from dicomnode.simulate.recipe import Kind
from dicomnode.training.evaluation import NOTICE, Evaluation
from dicomnode.training.figures import OPERATING_POINT
from dicomnode.training.outcomes import MEAN_CURVE, Outcome
from dicomnode.training.probabilities import net_benefit, reliability, roc
from dicomnode.training.scores import auc
from dicomnode.training.statistics import wilson

__all__ = ["accuracy", "as_json", "write_evaluation"]

KINDS: tuple[Kind, Kind] = ("malignant", "benign")
THRESHOLDS = np.linspace(0.01, 0.99, 99)


def write_evaluation(found: Evaluation, directory: Path) -> tuple[Path, ...]:
    """Write ``evaluation.json`` and, where there are enough answers for it, ``evaluation.png``."""
    directory.mkdir(parents=True, exist_ok=True)
    document, page = directory / "evaluation.json", directory / "evaluation.png"
    document.write_text(json.dumps(as_json(found), indent=2) + "\n", encoding="utf-8")
    if found.answers.oracle is None:
        page.unlink(missing_ok=True)
        return (document,)
    Image.fromarray(accuracy_page(accuracy(found))).save(page)
    return document, page


def as_json(found: Evaluation) -> dict[str, Any]:
    """Return everything that was found as values that JSON knows; nothing is rounded."""
    return {
        "notice": NOTICE,
        "software": f"dicomnode {__version__}",
        "cohort": found.cohort,
        "conditions": found.conditions,
        "models": [asdict(use) for use in found.uses],
        "figures": [asdict(figure) for figure in found.figures],
        "confusion": [
            {"truth": truth, "answer": answer, "count": count}
            for (truth, answer), count in sorted(found.confusion.items())
        ],
        "outcomes": [_outcome(outcome) for outcome in found.outcomes],
        "against": None if found.against is None else as_json(found.against),
        "comparison": [asdict(figure) for figure in found.comparison],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    return {
        "seed": case.seed,
        "truth": case.kind,
        "layout": case.recipe.display.layout,
        "fractions": case.recipe.lesion.fractions,
        "answer": outcome.answer,
        "malignant_probability": outcome.malignant_probability,
        "lesion_dice": outcome.lesion_dice,
        "subregion_rand": outcome.subregion_rand,
        "subregion_same": outcome.subregion_same,
        "mean_curve": outcome.mean_curve and dict(zip(MEAN_CURVE, outcome.mean_curve, strict=True)),
        "reasons": outcome.reasons,
    }


def accuracy(found: Evaluation) -> Accuracy:
    """Turn an evaluation with probabilities for both kinds into what its page shows."""
    return Accuracy(
        title="How well the classifier does",
        notice=NOTICE,
        conditions=found.conditions,
        software=f"dicomnode {__version__} · "
        + ", ".join(f"{use.name} {use.version} {use.sha256[:8]}" for use in found.uses),
        roc=tuple(_curves(found)),
        calibration=_calibration(found),
        decision_curve=_decision_curve(found),
        confusions=(_called(found), _decided(found)),
    )


def _curves(found: Evaluation) -> list[Roc]:
    answers = found.answers
    curves = [("classifier", answers.probability, answers.is_malignant)]
    for name, scores in (
        ("oracle, true habitats", answers.oracle),
        ("mean curve", answers.mean_curve),
    ):
        if scores is not None:
            curves.append((name, scores, answers.is_malignant))
    if found.against is not None and found.against.answers.oracle is not None:
        other = found.against.answers
        curves.append(("the other bundles", other.probability, other.is_malignant))
    return [_curve(*each) for each in curves]


def _curve(name: str, scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> Roc:
    area = auc(scores, positive)
    spread = "" if area.low == area.high else f" ({area.low:.2f} to {area.high:.2f})"
    false_positive, true_positive = roc(scores, positive)
    return Roc(
        name=name,
        area=f"{area.value:.3f}{spread}",
        false_positive=false_positive,
        true_positive=true_positive,
    )


def _calibration(found: Evaluation) -> Calibration:
    answers = found.answers
    bins = reliability(answers.probability, answers.is_malignant)
    shares = [wilson(*each) for each in zip(bins.hits.tolist(), bins.count.tolist(), strict=True)]
    return Calibration(
        said=bins.said,
        share=np.array([each.value for each in shares]),
        low=np.array([each.low for each in shares]),
        high=np.array([each.high for each in shares]),
        count=bins.count,
        words=f"Brier {_value(found, 'Brier')} · calibration error {_value(found, 'expected')}",
    )


def _decision_curve(found: Evaluation) -> DecisionCurve:
    answers = found.answers
    everyone = np.ones(len(answers.probability))
    benefit = {
        "classifier": net_benefit(answers.probability, answers.is_malignant, THRESHOLDS),
        "act on all": net_benefit(everyone, answers.is_malignant, THRESHOLDS),
        "act on none": np.zeros(len(THRESHOLDS)),
    }
    return DecisionCurve(thresholds=THRESHOLDS, benefit=benefit)


def _called(found: Evaluation) -> Confusion:
    """Confusion at the operating point, for every exam with a probability."""
    at = f"at probability {OPERATING_POINT:g}"
    called = [
        KINDS[one.malignant_probability < OPERATING_POINT]
        if one.malignant_probability is not None
        else "no probability"
        for one in found.outcomes
    ]
    return Confusion(
        name=at.capitalize(),
        truths=KINDS,
        answers=(*KINDS, "no probability"),
        count=_counted(found, called, (*KINDS, "no probability")),
        words=_both(found, at),
    )


def _decided(found: Evaluation) -> Confusion:
    """Confusion as a reader gets it: the conformal answer, which may be none."""
    columns = (*KINDS, "indeterminate", "refused")
    answers = [one.answer if one.answer in columns else "refused" for one in found.outcomes]
    return Confusion(
        name="As answered",
        truths=KINDS,
        answers=columns,
        count=_counted(found, answers, columns),
        words=f"of the decided: {_both(found, 'of the decided')}",
    )


def _counted(found: Evaluation, answers: list[str], columns: tuple[str, ...]) -> NDArray[np.int64]:
    """Exams by truth and answer, shape (2, columns)."""
    pairs = Counter(zip((one.case.kind for one in found.outcomes), answers, strict=True))
    return np.array([[pairs[truth, answer] for answer in columns] for truth in KINDS])


def _both(found: Evaluation, where: str) -> str:
    names = ("sensitivity", "specificity")
    return " · ".join(f"{name} {_value(found, f'{name} {where}')}" for name in names)


def _value(found: Evaluation, beginning: str) -> str:
    """A figure by how its name begins, with its interval where it has one."""
    score = next((each for each in found.figures if each.name.startswith(beginning)), None)
    if score is None:
        return "–"
    spread = "" if score.low is None else f" ({score.low:.2f} to {score.high:.2f})"
    return f"{score.value:.2f}{spread}"
