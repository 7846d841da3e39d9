"""Evaluations of the whole exam in the structured report: answer, quality, or the refusal.

It stands where TID 1500 has it, in a container of its own, and holds codes and words only: numbers
stand with the region that they were measured on.
"""

from collections.abc import Iterator, Mapping, Sequence

from highdicom.sr import CodeContentItem, ContainerContentItem, ContentItem, RelationshipTypeValues
from pydicom.sr.coding import Code

from dicomnode.dicom import codes
from dicomnode.dicom.context import RESEARCH_USE
from dicomnode.dicom.results.sr.items import container, text
from dicomnode.errors import Reason
from dicomnode.science.answer import premises, summary_line, why_line
from dicomnode.science.findings import Bolus, Check, Findings, ModelUse, from_simulation

__all__ = ["of_exam", "of_refusal"]


def of_exam(findings: Findings) -> ContainerContentItem:
    """Return the answer and how far it can be relied on."""
    diagnosis = findings.diagnosis
    coded = {
        codes.DECISION_NAME: codes.DECISIONS[diagnosis.decision],
        codes.IMAGE_QUALITY: codes.grade(findings.quality.grade),
        codes.CURVE_MODEL: codes.curve_model(findings.bolus.family),
    }
    return container(
        codes.QUALITATIVE_EVALUATIONS,
        [
            *(text(words, codes.ANSWER) for words in _answer(findings)),
            *_coded(coded),
            *(text(reason.text, codes.REASON) for reason in diagnosis.reasons),
            *(text(why_line(item), codes.CONTRIBUTION) for item in diagnosis.contributions),
            *(text(notice, codes.NOTICE) for notice in (RESEARCH_USE, *_training(findings.models))),
            *(text(warning, codes.WARNING) for warning in findings.warnings),
            *map(text, _digests(findings.models)),
            *map(text, _accuracy(findings.models)),
            text(f"Dynamic range taken from: {findings.dynamic_range_source}"),
            text(_bolus_text(findings.bolus)),
            *(text(_check_text(check)) for check in findings.quality.checks),
        ],
    )


def of_refusal(reasons: Sequence[Reason]) -> ContainerContentItem:
    """Return that the exam was refused, and why."""
    return container(
        codes.QUALITATIVE_EVALUATIONS,
        [
            *_coded({codes.STATUS: codes.REFUSED}),
            *(text(f"{reason.code}: {reason.text}", codes.REASON) for reason in reasons),
            text(RESEARCH_USE, codes.NOTICE),
        ],
    )


def _answer(findings: Findings) -> list[str]:
    """Return the headline, and what it assumes."""
    diagnosis = findings.diagnosis
    trained = (model.trained_on for model in findings.models)
    return [summary_line(diagnosis), *filter(None, [premises(diagnosis.prevalence, trained)])]


def _coded(evaluations: Mapping[Code, Code]) -> Iterator[ContentItem]:
    for name, value in evaluations.items():
        yield CodeContentItem(
            name=name, value=value, relationship_type=RelationshipTypeValues.CONTAINS
        )


def _training(models: Sequence[ModelUse]) -> list[str]:
    return [
        f"{_named(model)} was trained on: {model.trained_on}. Not clinically validated."
        for model in models
    ]


def _digests(models: Sequence[ModelUse]) -> list[str]:
    return [
        f"{_named(model)}: sha256 {model.sha256}, of its manifest {model.manifest_sha256}"
        for model in models
    ]


def _accuracy(models: Sequence[ModelUse]) -> list[str]:
    return [
        f"{_named(model)}, {_worth(sentence)}: {sentence}"
        for model in models
        for sentence in model.figures
    ]


def _worth(sentence: str) -> str:
    """What simulated exams had a part in is no accuracy; what patients alone gave is unproven."""
    return "not clinical accuracy" if from_simulation(sentence) else "not clinically validated"


def _named(model: ModelUse) -> str:
    return f"Model {model.name} {model.version} ({model.task})"


def _bolus_text(bolus: Bolus) -> str:
    others = ", ".join(
        f"{name} {deviance:.4g}"
        for name, deviance in bolus.deviances.items()
        if name != bolus.family
    )
    chosen = f"Bolus curve model: {bolus.family}"
    return f"{chosen}; deviance of the others above it: {others}" if others else chosen


def _check_text(check: Check) -> str:
    value = "not known" if check.value is None else f"{check.value:.4g} {check.unit}"
    verdict = "passed" if check.passed else "FAILED"
    return (
        f"{check.name}: {value}, limit {check.limit:.4g} {check.unit}, {verdict}: {check.message}"
    )
