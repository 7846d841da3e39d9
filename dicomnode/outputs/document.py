"""``result.json``: what was found, for programs. These models are its schema.

Numbers that could not be obtained are ``null``; nothing is invented. The document carries UIDs and
measurements, no patient data.
"""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from dicomnode.dicom.exam import Exam
from dicomnode.errors import Reason
from dicomnode.pipeline import Result
from dicomnode.science.findings import Findings, Spread, SubRegion

__all__ = ["Document", "document"]


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return round(value, 6) if isinstance(value, float) else value


Number = Annotated[float | None, BeforeValidator(_finite)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReasonPart(_Part):
    """Why something was refused or left undecided."""

    code: str
    text: str


class Reference(_Part):
    """The source frame all masks lie on."""

    sop_instance_uid: str
    frame: int


class ExamPart(_Part):
    """What was analysed."""

    study_uid: str
    injection: int
    clips: int
    frames: int
    duration_s: Number
    spacing_mm: tuple[float, float]
    layout: str
    colour_map: str
    dynamic_range_db: float
    dynamic_range_source: str
    reference: Reference | None


class LesionPart(_Part):
    """Size of the lesion on the reference frame."""

    area_mm2: Number
    long_axis_mm: Number
    short_axis_mm: Number
    enlargement_ratio: Number


class ParameterPart(_Part):
    """A kinetic parameter over a sub-region."""

    median: Number
    iqr: tuple[Number, Number]
    unit: str


class SubRegionPart(_Part):
    """One perfusion sub-region."""

    number: int
    name: str
    fraction: Number
    area_mm2: Number
    parameters: dict[str, ParameterPart]


class ContributionPart(_Part):
    """What one feature added to the log-odds of malignancy."""

    feature: str
    value: Number
    contribution: Number


class DiagnosisPart(_Part):
    """The classifier's answer."""

    malignant_probability: Number
    interval: tuple[Number, Number] | None
    decision: Literal["malignant", "benign", "indeterminate"]
    coverage: float
    contributions: list[ContributionPart]
    reasons: list[ReasonPart]


class CheckPart(_Part):
    """One quality check."""

    name: str
    value: Number
    limit: Number
    unit: str
    passed: bool


class QualityPart(_Part):
    """Quality grade and the checks behind it."""

    grade: Literal["A", "B", "C", "D"]
    checks: list[CheckPart]


class ModelPart(_Part):
    """A model bundle that had a part in the result."""

    name: str
    version: str
    sha256: str
    trained_on: str


class OutputPart(_Part):
    """A file written beside this document."""

    kind: str
    path: str
    sop_class_uid: str
    sop_instance_uid: str


class Document(_Part):
    """The whole of ``result.json``."""

    status: Literal["analysed", "refused"]
    reasons: list[ReasonPart]
    exam: ExamPart | None
    lesion: LesionPart | None = None
    subregions: list[SubRegionPart] = []
    diagnosis: DiagnosisPart | None = None
    quality: QualityPart | None = None
    models: list[ModelPart] = []
    outputs: list[OutputPart] = []
    timing_s: dict[str, float] = {}
    notice: str = "Research use only. Not a medical device."


def _reasons(reasons: tuple[Reason, ...]) -> list[ReasonPart]:
    return [ReasonPart(code=reason.code, text=reason.text) for reason in reasons]


def _exam(exam: Exam, findings: Findings | None) -> ExamPart:
    reference = None
    if findings is not None:
        clip, frame = exam.frame_of(findings.reference_frame)
        reference = Reference(sop_instance_uid=str(clip.header.SOPInstanceUID), frame=frame)
    return ExamPart(
        study_uid=exam.study_uid,
        injection=exam.injection,
        clips=len(exam.clips),
        frames=len(exam.times_s),
        duration_s=float(exam.times_s[-1] - exam.times_s[0]),
        spacing_mm=exam.spacing_mm,
        layout=exam.layout,
        colour_map=exam.colour_map,
        dynamic_range_db=exam.dynamic_range_db,
        dynamic_range_source=exam.dynamic_range_source,
        reference=reference,
    )


def _parameter(spread: Spread) -> ParameterPart:
    return ParameterPart(median=spread.median, iqr=(spread.q1, spread.q3), unit=spread.unit)


def _subregion(region: SubRegion) -> SubRegionPart:
    return SubRegionPart(
        number=region.number,
        name=region.name,
        fraction=region.fraction,
        area_mm2=region.area_mm2,
        parameters={name: _parameter(spread) for name, spread in region.parameters.items()},
    )


def _diagnosis(findings: Findings) -> DiagnosisPart:
    found = findings.diagnosis
    return DiagnosisPart(
        malignant_probability=found.malignant_probability,
        interval=found.interval,
        decision=found.decision,
        coverage=found.coverage,
        contributions=[
            ContributionPart(feature=c.feature, value=c.value, contribution=c.contribution)
            for c in found.contributions
        ],
        reasons=_reasons(found.reasons),
    )


def _quality(findings: Findings) -> QualityPart:
    checks = [
        CheckPart(name=c.name, value=c.value, limit=c.limit, unit=c.unit, passed=c.passed)
        for c in findings.quality.checks
    ]
    return QualityPart(grade=findings.quality.grade, checks=checks)


def document(
    result: Result | None, reasons: tuple[Reason, ...], outputs: list[OutputPart]
) -> Document:
    """Gather a result into its document; without a result, the reasons alone."""
    if result is None or result.findings is None:
        return Document(
            status="refused",
            reasons=_reasons(reasons),
            exam=None if result is None else _exam(result.exam, None),
            outputs=outputs,
            timing_s={} if result is None else dict(result.timing_s),
        )
    findings = result.findings
    lesion = findings.lesion
    return Document(
        status="analysed",
        reasons=[],
        exam=_exam(result.exam, findings),
        lesion=LesionPart(
            area_mm2=lesion.area_mm2,
            long_axis_mm=lesion.long_axis_mm,
            short_axis_mm=lesion.short_axis_mm,
            enlargement_ratio=lesion.enlargement_ratio,
        ),
        subregions=[_subregion(region) for region in findings.subregions],
        diagnosis=_diagnosis(findings),
        quality=_quality(findings),
        models=[
            ModelPart(name=m.name, version=m.version, sha256=m.sha256, trained_on=m.trained_on)
            for m in findings.models
        ],
        outputs=outputs,
        timing_s=dict(result.timing_s),
    )
