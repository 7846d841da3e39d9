"""Measurement groups of the structured report: lesion, sub-regions, reference tissue."""

from collections.abc import Iterator, Sequence

import numpy as np
from highdicom.sr import (
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    QualitativeEvaluation,
    ReferencedSegmentationFrame,
    RelationshipTypeValues,
    ScoordContentItem,
    SourceImageForRegion,
    SourceImageForSegmentation,
    TrackingIdentifier,
)
from highdicom.sr import PlanarROIMeasurementsAndQualitativeEvaluations as Group
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage
from scipy.ndimage import distance_transform_edt

from dicomnode.dicom import codes
from dicomnode.dicom.context import Context, laterality
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.references import STAND_IN
from dicomnode.dicom.results.drawing import in_image
from dicomnode.dicom.results.segments import Segment, lesion_segment
from dicomnode.dicom.results.sr.items import identification, short_identification, text
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
from dicomnode.science.findings import Findings, SubRegion
from dicomnode.science.regions import outlines

__all__ = ["measurement_groups"]


def measurement_groups(
    exam: Exam, findings: Findings, context: Context, parts: Sequence[Segment], seg: Dataset
) -> list[Group]:
    """Return a group (TID 1410) of each region that was measured, the lesion's first.

    Numbers about the whole exam stand with the lesion, for which they were obtained.
    """
    regions = {region.number: region for region in findings.subregions}
    return [
        _lesion(exam, findings, context, lesion_segment(findings)),
        *(
            _subregion(exam, findings, context, part, regions[part.subregion], seg)
            for part in parts
            if part.subregion in regions
        ),
        *_tissue(exam, findings, context),
    ]


def _lesion(exam: Exam, findings: Findings, context: Context, part: Segment) -> Group:
    lesion, diagnosis = findings.lesion, findings.diagnosis
    size = [
        Row(codes.AREA, lesion.area_mm2, "mm2"),
        Row(codes.LONG_AXIS, lesion.long_axis_mm, "mm"),
        Row(codes.SHORT_AXIS, lesion.short_axis_mm, "mm"),
        Row(codes.ENLARGEMENT, lesion.enlargement_ratio, "1"),
    ]
    classifier = short_identification("classify", findings, context)
    numbers = [  # of which OHIF shows the first five
        *measurements(probabilities(diagnosis), classifier),
        *measurements(size),
        *measurements(contributions(diagnosis), classifier),
        *measurements(kinetics(findings.whole.parameters, findings.whole.relative)),
        *measurements(of_mean_curve(findings, "lesion")),
        *measurements(of_quality(findings)),
    ]
    return Group(
        referenced_region=_image_region(exam, findings, lesion.outlines[0]),
        qualitative_evaluations=[
            QualitativeEvaluation(codes.DECISION_NAME, codes.DECISIONS[diagnosis.decision])
        ],
        measurements=numbers,
        tracking_identifier=_tracking(part.tracking_id, part.tracking_uid(context)),
        finding_category=part.category,
        finding_type=part.type,
        finding_sites=[_site(context)],
        algorithm_id=identification(part.task, findings, context),
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
    group = Group(
        referenced_segment=_segmentation_frame(exam, findings, part, seg),
        measurements=measurements(rows),
        tracking_identifier=_tracking(part.tracking_id, part.tracking_uid(context)),
        finding_category=part.category,
        finding_type=part.type,
        finding_sites=[_site(context)],
        algorithm_id=identification(part.task, findings, context),
    )
    group[0].ContentSequence.append(text(f"Sub-region {region.number}: {region.name}"))
    group[0].ContentSequence.append(_center(exam, part, seg))
    return group


def _tissue(exam: Exam, findings: Findings, context: Context) -> Iterator[Group]:
    """Yield what everything relative is set against, where there is any."""
    rows = [*kinetics(findings.tissue.parameters, {}), *of_mean_curve(findings, TISSUE)]
    numbers, parts = measurements(rows), outlines(findings.tissue_mask)
    if numbers and parts:
        name = TISSUE.capitalize()
        group = Group(
            referenced_region=_image_region(exam, findings, parts[0]),
            measurements=numbers,
            tracking_identifier=_tracking(name, str(context.uid("tracking", name))),
            finding_type=codes.REFERENCE_REGION,
            finding_sites=[_site(context)],
        )
        if len(parts) > 1:
            words = f"Outlined is the largest of the {len(parts)} parts that were measured"
            group[0].ContentSequence.append(text(words))
        yield group


def _tracking(identifier: str, uid: str) -> TrackingIdentifier:
    return TrackingIdentifier(uid=uid, identifier=identifier)


def _site(context: Context) -> FindingSite:
    side = laterality(context.header)
    return FindingSite(codes.BREAST, laterality=codes.LATERALITY[side] if side else None)


def _image_region(exam: Exam, findings: Findings, outline: NDArray[np.float64]) -> ImageRegion:
    clip, frame = exam.frame_of(findings.reference_frame)
    return ImageRegion(
        graphic_type=GraphicTypeValues.POLYLINE,
        graphic_data=in_image(outline, exam.contrast),
        source_image=SourceImageForRegion(STAND_IN, clip.header.SOPInstanceUID, [frame]),
    )


def _center(exam: Exam, part: Segment, seg: Dataset) -> ScoordContentItem:
    """Return the point of a SEG frame that lies deepest in its segment.

    It tells where the region is without a look into the SEG. OHIF 3.12 shows nothing of a report
    in which a group has no coordinates at all.
    """
    depth = distance_transform_edt(np.pad(part.mask, 1))[1:-1, 1:-1]
    deepest = np.array([np.unravel_index(np.argmax(depth), depth.shape)], np.float64)
    center = ScoordContentItem(
        name=codes.CENTER,
        graphic_type=GraphicTypeValues.POINT,
        graphic_data=in_image(deepest, exam.contrast),
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    frame = SourceImageForRegion(SegmentationStorage, seg.SOPInstanceUID, [part.number])
    center.ContentSequence = [frame]
    return center


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
