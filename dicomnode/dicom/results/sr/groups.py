"""Measurement groups of the structured report: answer, lesion, sub-regions, tissue, quality."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegmentationFrame,
    RelationshipTypeValues,
    SourceImageForRegion,
    SourceImageForSegmentation,
    TextContentItem,
    TrackingIdentifier,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from dicomnode.dicom import codes
from dicomnode.dicom.context import Context, laterality
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.references import STAND_IN
from dicomnode.dicom.results.drawing import in_image
from dicomnode.dicom.results.segments import Segment, Task, algorithm, lesion_segment
from dicomnode.dicom.results.sr.rows import (
    TISSUE,
    Row,
    contributions,
    kinetics,
    measurements,
    of_mean_curve,
    of_quality,
    probabilities,
)
from dicomnode.science.findings import Bolus, Check, Findings, SubRegion
from dicomnode.science.regions import outlines

__all__ = ["comment", "exam_groups", "remarks"]

Group: TypeAlias = (
    "PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations"
)


def exam_groups(
    exam: Exam, findings: Findings, context: Context, parts: Sequence[Segment], seg: Dataset
) -> list[Group]:
    """Return the groups of an analysed exam, the answer first."""
    regions = {region.number: region for region in findings.subregions}
    return [
        _answer(findings, context),
        _lesion(exam, findings, context, lesion_segment(findings)),
        *(
            _subregion(exam, findings, context, part, regions[part.subregion], seg)
            for part in parts
            if part.subregion in regions
        ),
        *_tissue(exam, findings, context),
        _quality(findings, context),
    ]


def remarks(
    name: str,
    context: Context,
    texts: Sequence[str],
    evaluations: Sequence[tuple[Code, Code]] = (),
    numbers: Sequence[Measurement] = (),
    algorithm_id: AlgorithmIdentification | None = None,
) -> MeasurementsAndQualitativeEvaluations:
    """Return a group about the whole exam (TID 1501) with coded answers, numbers and comments."""
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(name, str(context.uid("tracking", name))),
        measurements=list(numbers) or None,
        qualitative_evaluations=[QualitativeEvaluation(*pair) for pair in evaluations],
        algorithm_id=algorithm_id,
    )
    group[0].ContentSequence.extend(comment(text) for text in texts)
    return group


def comment(text: str) -> TextContentItem:
    """Return a remark in words."""
    return TextContentItem(
        name=codes.COMMENT,
        value=codes.plain(text),
        relationship_type=RelationshipTypeValues.CONTAINS,
    )


def _answer(findings: Findings, context: Context) -> Group:
    diagnosis = findings.diagnosis
    evaluations = [(codes.DECISION_NAME, codes.DECISIONS[diagnosis.decision])]
    numbers = measurements([*probabilities(diagnosis), *contributions(diagnosis)])
    texts = [f"Indeterminate: {reason.text}" for reason in diagnosis.reasons]
    used = _algorithm("classify", findings, context)
    return remarks("Classification", context, texts, evaluations, numbers, used)


def _lesion(exam: Exam, findings: Findings, context: Context, part: Segment) -> Group:
    lesion, diagnosis = findings.lesion, findings.diagnosis
    rows = [
        Row(codes.AREA, lesion.area_mm2, "mm2"),
        Row(codes.LONG_AXIS, lesion.long_axis_mm, "mm"),
        Row(codes.SHORT_AXIS, lesion.short_axis_mm, "mm"),
        Row(codes.ENLARGEMENT, lesion.enlargement_ratio, "1"),
        *probabilities(diagnosis),
        *kinetics(findings.whole.parameters, findings.whole.relative),
        *of_mean_curve(findings, "lesion"),
    ]
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_region=_image_region(exam, findings, lesion.outlines[0]),
        qualitative_evaluations=[
            QualitativeEvaluation(codes.DECISION_NAME, codes.DECISIONS[diagnosis.decision])
        ],
        measurements=measurements(rows),
        tracking_identifier=_tracking(part.tracking_id, part.tracking_uid(context)),
        finding_category=part.category,
        finding_type=part.type,
        finding_sites=[_site(context)],
        algorithm_id=_algorithm(part.task, findings, context),
    )


def _subregion(
    exam: Exam,
    findings: Findings,
    context: Context,
    part: Segment,
    region: SubRegion,
    seg: Dataset,
) -> Group:
    rows = [
        Row(codes.AREA, region.area_mm2, "mm2"),
        Row(codes.AREA_FRACTION, 100 * region.fraction, "%"),
        *kinetics(region.parameters, region.relative),
        *of_mean_curve(findings, region.number),
    ]
    group = PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=_segmentation_frame(exam, findings, part, seg),
        measurements=measurements(rows),
        tracking_identifier=_tracking(part.tracking_id, part.tracking_uid(context)),
        finding_category=part.category,
        finding_type=part.type,
        finding_sites=[_site(context)],
        algorithm_id=_algorithm(part.task, findings, context),
    )
    group[0].ContentSequence.append(comment(f"Sub-region {region.number}: {region.name}"))
    return group


def _tissue(exam: Exam, findings: Findings, context: Context) -> Iterator[Group]:
    """Yield what everything relative is set against, where there is any."""
    rows = [*kinetics(findings.tissue.parameters, {}), *of_mean_curve(findings, TISSUE)]
    numbers, parts = measurements(rows), outlines(findings.tissue_mask)
    if numbers and parts:
        name = TISSUE.capitalize()
        group = PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_region=_image_region(exam, findings, parts[0]),
            measurements=numbers,
            tracking_identifier=_tracking(name, str(context.uid("tracking", name))),
            finding_type=codes.REFERENCE_REGION,
            finding_sites=[_site(context)],
        )
        if len(parts) > 1:
            text = f"Outlined is the largest of the {len(parts)} parts that were measured"
            group[0].ContentSequence.append(comment(text))
        yield group


def _quality(findings: Findings, context: Context) -> Group:
    quality, bolus = findings.quality, findings.bolus
    texts = [f"Warning: {warning}" for warning in findings.warnings]
    texts += [f"Dynamic range taken from: {findings.dynamic_range_source}", _bolus_text(bolus)]
    texts += [_check_text(check) for check in quality.checks]
    evaluations = [
        (codes.IMAGE_QUALITY, codes.grade(quality.grade)),
        (codes.CURVE_MODEL, codes.private(bolus.family.upper(), f"{bolus.family} bolus")),
    ]
    return remarks("Quality", context, texts, evaluations, measurements(of_quality(findings)))


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
    return f"{check.name}: {value}, limit {check.limit:.4g} {check.unit}, {verdict}: {check.words}"


def _tracking(identifier: str, uid: str) -> TrackingIdentifier:
    return TrackingIdentifier(uid=uid, identifier=identifier)


def _site(context: Context) -> FindingSite:
    side = laterality(context.header)
    return FindingSite(codes.BREAST, laterality=codes.LATERALITY[side] if side else None)


def _algorithm(task: Task, findings: Findings, context: Context) -> AlgorithmIdentification:
    used = algorithm(task, findings.models, context)
    return AlgorithmIdentification(
        name=used.name,
        version=used.version,
        family=used.family,
        manufacturer=context.equipment.manufacturer,
        parameters=[f"{name}: {value}" for name, value in used.parameters] or None,
    )


def _image_region(exam: Exam, findings: Findings, outline: NDArray[np.float64]) -> ImageRegion:
    clip, frame = exam.frame_of(findings.reference_frame)
    return ImageRegion(
        graphic_type=GraphicTypeValues.POLYLINE,
        graphic_data=in_image(outline, exam.contrast),
        source_image=SourceImageForRegion(STAND_IN, clip.header.SOPInstanceUID, [frame]),
    )


def _segmentation_frame(
    exam: Exam, findings: Findings, part: Segment, seg: Dataset
) -> ReferencedSegmentationFrame:
    clip, frame = exam.frame_of(findings.reference_frame)
    source = SourceImageForSegmentation(STAND_IN, clip.header.SOPInstanceUID, [frame])
    found = ReferencedSegmentationFrame(
        sop_class_uid=SegmentationStorage,
        sop_instance_uid=seg.SOPInstanceUID,
        frame_number=part.number,
        segment_number=part.number,
        source_image=source,
    )
    # frame and segment together are an error to validators; a frame holds one segment (PS3.3 10.3)
    del found[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
    return found
