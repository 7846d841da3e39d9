"""Measurement groups of the structured report: lesion, sub-regions, answer, quality."""

import math
from collections.abc import Iterator, Mapping, Sequence
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
from dicomnode.dicom.exam import Box, Exam
from dicomnode.dicom.segments import Segment, Task, algorithm
from dicomnode.science.features import FEATURES
from dicomnode.science.findings import Check, Diagnosis, Findings, SubRegion

__all__ = ["comment", "exam_groups", "remarks"]

Group: TypeAlias = (
    "PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations"
)
FEATURE_UNITS: Mapping[str, str] = {feature.name: feature.unit for feature in FEATURES}
"""UCUM unit of each feature of this project; a bundle of a site may bring others, unitless here."""

Row: TypeAlias = "tuple[Code, float | None, str, Code | None]"
"""Name, value, UCUM unit and derivation of one measurement."""


def exam_groups(
    exam: Exam, findings: Findings, context: Context, parts: Sequence[Segment], seg: Dataset
) -> list[Group]:
    """Return the groups of an analysed exam, the answer first."""
    lesion, *rest = parts
    regions = {region.number: region for region in findings.subregions}
    return [
        _answer(findings, context),
        _lesion(exam, findings, context, lesion),
        *(
            _subregion(exam, findings, context, part, regions[part.subregion], seg)
            for part in rest
            if part.subregion in regions
        ),
        _quality(findings, context),
    ]


def remarks(
    name: str,
    context: Context,
    texts: Sequence[str],
    evaluations: Sequence[tuple[Code, Code]] = (),
    measurements: Sequence[Measurement] = (),
    algorithm_id: AlgorithmIdentification | None = None,
) -> MeasurementsAndQualitativeEvaluations:
    """Return a group about the whole exam (TID 1501) with coded answers, numbers and comments."""
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(name, str(context.uid("tracking", name))),
        measurements=list(measurements) or None,
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
    numbers = _measurements([*_probabilities(diagnosis), *_contributions(diagnosis)])
    texts = [f"Indeterminate: {reason.text}" for reason in diagnosis.reasons]
    used = _algorithm("classify", findings, context)
    return remarks("Classification", context, texts, evaluations, numbers, used)


def _lesion(exam: Exam, findings: Findings, context: Context, part: Segment) -> Group:
    lesion, diagnosis = findings.lesion, findings.diagnosis
    rows: list[Row] = [
        (codes.AREA, lesion.area_mm2, "mm2", None),
        (codes.LONG_AXIS, lesion.long_axis_mm, "mm", None),
        (codes.SHORT_AXIS, lesion.short_axis_mm, "mm", None),
        (codes.ENLARGEMENT, lesion.enlargement_ratio, "1", None),
    ]
    clip, frame = exam.frame_of(findings.reference_frame)
    source = SourceImageForRegion(clip.header.SOPClassUID, clip.header.SOPInstanceUID, [frame])
    region = ImageRegion(
        graphic_type=GraphicTypeValues.POLYLINE,
        graphic_data=_closed_polyline(lesion.outlines[0], exam.contrast),
        source_image=source,
    )
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_region=region,
        qualitative_evaluations=[
            QualitativeEvaluation(codes.DECISION_NAME, codes.DECISIONS[diagnosis.decision])
        ],
        measurements=_measurements([*rows, *_probabilities(diagnosis)]),
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
    rows: list[Row] = [
        (codes.AREA, region.area_mm2, "mm2", None),
        (codes.AREA_FRACTION, 100 * region.fraction, "%", None),
    ]
    for name, spread in region.parameters.items():
        code = codes.parameter(name)
        rows.append((code, spread.median, spread.unit, codes.MEDIAN))
        rows.append((code, spread.q1, spread.unit, codes.LOWER_QUARTILE))
        rows.append((code, spread.q3, spread.unit, codes.UPPER_QUARTILE))
    group = PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=_segmentation_frame(exam, findings, part, seg),
        measurements=_measurements(rows),
        tracking_identifier=_tracking(part.tracking_id, part.tracking_uid(context)),
        finding_category=part.category,
        finding_type=part.type,
        finding_sites=[_site(context)],
        algorithm_id=_algorithm(part.task, findings, context),
    )
    group[0].ContentSequence.append(comment(f"Sub-region {region.number}: {region.name}"))
    return group


def _quality(findings: Findings, context: Context) -> Group:
    quality = findings.quality
    rows: list[Row] = [(codes.DYNAMIC_RANGE, findings.dynamic_range_db, "dB", None)]
    rows += [
        (codes.private(check.name, check.words), check.value, check.unit, None)
        for check in quality.checks
    ]
    texts = [f"Dynamic range taken from: {findings.dynamic_range_source}"]
    texts += [_check_text(check) for check in quality.checks]
    evaluations = [(codes.IMAGE_QUALITY, codes.grade(quality.grade))]
    return remarks("Quality", context, texts, evaluations, _measurements(rows))


def _measurements(rows: Sequence[Row]) -> list[Measurement]:
    """Return TID 300 measurements, to 6 digits; a value that does not exist has no measurement."""
    return [
        Measurement(
            name=name, value=float(f"{value:.6g}"), unit=codes.unit(unit), derivation=derivation
        )
        for name, value, unit, derivation in rows
        if value is not None and math.isfinite(value)
    ]


def _probabilities(diagnosis: Diagnosis) -> Iterator[Row]:
    if diagnosis.malignant_probability is not None:
        yield codes.PROBABILITY_OF_CANCER, 100 * diagnosis.malignant_probability, "%", None
    if diagnosis.interval is not None:
        yield codes.PROBABILITY_LOWER, 100 * diagnosis.interval[0], "%", None
        yield codes.PROBABILITY_UPPER, 100 * diagnosis.interval[1], "%", None


def _contributions(diagnosis: Diagnosis) -> Iterator[Row]:
    for item in diagnosis.contributions:
        code = codes.private(item.feature, item.words)
        yield code, item.value, FEATURE_UNITS.get(item.feature, "1"), None
        yield code, item.contribution, "1", codes.LOG_ODDS


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


def _closed_polyline(outline: NDArray[np.float64], pane: Box) -> NDArray[np.float64]:
    r"""Return (column, row) image coordinates of a closed outline, from (row, column) in the pane.

    A pixel's centre lies half a pixel from the image's corner, which is 0\0 (PS3.3 C.18.6.1.2).
    """
    points = outline[:, ::-1] + (pane.column + 0.5, pane.row + 0.5)
    if not np.array_equal(points[0], points[-1]):
        points = np.vstack([points, points[:1]])
    return points


def _segmentation_frame(
    exam: Exam, findings: Findings, part: Segment, seg: Dataset
) -> ReferencedSegmentationFrame:
    clip, frame = exam.frame_of(findings.reference_frame)
    source = SourceImageForSegmentation(
        clip.header.SOPClassUID, clip.header.SOPInstanceUID, [frame]
    )
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
