"""Write an evaluation down: every figure and outcome as JSON, and a page to look at."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from dicomnode.report.accuracy import Accuracy, Caption, accuracy_page
from dicomnode.report.panels import Confusion
from dicomnode.training.evaluation.bundles import NOTICE, Evaluation
from dicomnode.training.evaluation.figures import OPERATING_POINT
from dicomnode.training.evaluation.outcomes import MEAN_CURVE, Outcome
from dicomnode.training.scoring.accuracy import KINDS, Scored, accuracy, confusion
from dicomnode.version import __version__

__all__ = ["as_json", "page_of", "write_evaluation"]


def write_evaluation(found: Evaluation, directory: Path) -> tuple[Path, ...]:
    """Write ``evaluation.json`` and, where there are enough answers for it, ``evaluation.png``."""
    directory.mkdir(parents=True, exist_ok=True)
    document, page = directory / "evaluation.json", directory / "evaluation.png"
    document.write_text(json.dumps(as_json(found), indent=2) + "\n", encoding="utf-8")
    if found.answers.oracle is None:
        page.unlink(missing_ok=True)
        return (document,)
    Image.fromarray(accuracy_page(page_of(found))).save(page)
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


def page_of(found: Evaluation) -> Accuracy:
    """Turn an evaluation with probabilities for both kinds into what its page shows."""
    answers = found.answers
    used = ", ".join(f"{use.name} {use.version} {use.sha256[:8]}" for use in found.uses)
    return accuracy(
        answers.probability,
        answers.is_malignant,
        beside=tuple(_beside(found)),
        confusions=(_called(found), _decided(found)),
        caption=Caption(
            title="How well the classifier does",
            notice=NOTICE,
            conditions=found.conditions,
            software=f"dicomnode {__version__} · {used}",
        ),
    )


def _beside(found: Evaluation) -> Iterator[Scored]:
    """The baselines' answers to the same exams, and those of the other bundles."""
    answers = found.answers
    baselines = {"oracle, true habitats": answers.oracle, "mean curve": answers.mean_curve}
    for name, scores in baselines.items():
        if scores is not None:
            yield Scored(name=name, scores=scores, is_malignant=answers.is_malignant)
    if found.against is not None and found.against.answers.oracle is not None:
        other = found.against.answers
        yield Scored(
            name="the other bundles", scores=other.probability, is_malignant=other.is_malignant
        )


def _called(found: Evaluation) -> Confusion:
    """Confusion at the operating point, for every exam with a probability."""
    called = [
        KINDS[one.malignant_probability < OPERATING_POINT]
        if one.malignant_probability is not None
        else "no probability"
        for one in found.outcomes
    ]
    return confusion(
        f"At probability {OPERATING_POINT:g}", _truth(found), called, (*KINDS, "no probability")
    )


def _decided(found: Evaluation) -> Confusion:
    """Confusion as a reader gets it: the conformal answer, which may be none."""
    columns = (*KINDS, "indeterminate", "refused")
    answers = [one.answer if one.answer in columns else "refused" for one in found.outcomes]
    return confusion("As answered", _truth(found), answers, columns, "of the decided: ")


def _truth(found: Evaluation) -> list[str]:
    return [one.case.kind for one in found.outcomes]
