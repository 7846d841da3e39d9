"""The record of a result, gathered from what the pipeline gave."""

from collections.abc import Mapping

from dicomnode.dicom.exam import Exam
from dicomnode.errors import Reason
from dicomnode.pipeline import Result
from dicomnode.record.schema import (
    AnswerPart,
    BolusPart,
    CheckPart,
    ContributionPart,
    DiagnosisPart,
    ExamPart,
    LesionPart,
    ModelPart,
    OutputPart,
    ParameterPart,
    Parameters,
    QualityPart,
    ReasonPart,
    Record,
    Reference,
    RegionPart,
    StabilityPart,
    SubRegionPart,
    TissuePart,
)
from dicomnode.science.answer import because, in_short, premises, summary_line, why_line
from dicomnode.science.findings import Bolus, Findings, Spread, Stability, SubRegion

__all__ = ["record_of"]


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


def _left_out(exam: Exam) -> list[ReasonPart]:
    return _reasons(tuple(left.told for left in exam.left_out))


def _parameters(spreads: Mapping[str, Spread]) -> Parameters:
    return {
        name: ParameterPart(median=spread.median, iqr=(spread.q1, spread.q3), unit=spread.unit)
        for name, spread in spreads.items()
    }


def _lesion(findings: Findings) -> LesionPart:
    lesion = findings.lesion
    return LesionPart(
        area_mm2=lesion.area_mm2,
        long_axis_mm=lesion.long_axis_mm,
        short_axis_mm=lesion.short_axis_mm,
        enlargement_ratio=lesion.enlargement_ratio,
        probability=lesion.probability,
        uncertainty=lesion.uncertainty,
        parameters=_parameters(findings.whole.parameters),
        relative=_parameters(findings.whole.relative),
    )


def _subregion(region: SubRegion) -> SubRegionPart:
    return SubRegionPart(
        number=region.number,
        name=region.name,
        fraction=region.fraction,
        area_mm2=region.area_mm2,
        parameters=_parameters(region.parameters),
        relative=_parameters(region.relative),
    )


def _regions(findings: Findings) -> list[RegionPart]:
    return [
        RegionPart(name=c.name, number=c.number, arrival_s=c.arrival_s, baseline=c.baseline)
        for c in findings.curves
    ]


def _bolus(bolus: Bolus) -> BolusPart:
    return BolusPart(
        family=bolus.family,
        deviances=dict(bolus.deviances),
        recirculation=bolus.recirculation,
        dispersion=bolus.dispersion,
    )


def _stability(stability: Stability | None) -> StabilityPart | None:
    if stability is None:
        return None
    return StabilityPart(ari=stability.ari, replicates=stability.replicates)


def _diagnosis(findings: Findings) -> DiagnosisPart:
    found = findings.diagnosis
    return DiagnosisPart(
        malignant_probability=found.malignant_probability,
        interval=found.interval,
        prevalence=found.prevalence,
        decision=found.decision,
        coverage=found.coverage,
        contributions=[
            ContributionPart(
                feature=c.feature,
                value=c.value,
                mean=c.mean,
                contribution=c.contribution,
                words=c.meaning,
                said=because(c),
            )
            for c in found.contributions
        ],
        reasons=_reasons(found.reasons),
    )


def _answer(findings: Findings) -> AnswerPart:
    diagnosis = findings.diagnosis
    return AnswerPart(
        line=summary_line(diagnosis),
        short=in_short(diagnosis),
        premises=premises(diagnosis.prevalence, (model.trained_on for model in findings.models)),
        because=[why_line(one) for one in diagnosis.contributions],
    )


def _quality(findings: Findings) -> QualityPart:
    checks = [
        CheckPart(
            name=check.name,
            value=check.value,
            limit=check.limit,
            unit=check.unit,
            passed=check.passed,
            refuses=check.refuses,
            words=check.message,
        )
        for check in findings.quality.checks
    ]
    return QualityPart(grade=findings.quality.grade, checks=checks)


def record_of(
    result: Result | None, reasons: tuple[Reason, ...], outputs: list[OutputPart]
) -> Record:
    """Gather a result into its record; without a result, the reasons alone."""
    if result is None or result.findings is None:
        return Record(
            status="refused",
            reasons=_reasons(reasons),
            exam=None if result is None else _exam(result.exam, None),
            left_out=[] if result is None else _left_out(result.exam),
            outputs=outputs,
            timing_s={} if result is None else dict(result.timing_s),
        )
    findings = result.findings
    return Record(
        status="analysed",
        reasons=[],
        exam=_exam(result.exam, findings),
        lesion=_lesion(findings),
        tissue=TissuePart(parameters=_parameters(findings.tissue.parameters)),
        subregions=[_subregion(region) for region in findings.subregions],
        regions=_regions(findings),
        bolus=_bolus(findings.bolus),
        stability=_stability(findings.stability),
        answer=_answer(findings),
        diagnosis=_diagnosis(findings),
        quality=_quality(findings),
        warnings=list(findings.warnings),
        left_out=_left_out(result.exam),
        models=[ModelPart.model_validate(m, from_attributes=True) for m in findings.models],
        outputs=outputs,
        timing_s=dict(result.timing_s),
    )
