"""Segmentation of lesion and sub-regions on one frame of an ultrasound clip (PS3.3 A.51)."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Literal

import numpy as np
from highdicom.color import CIELabColor
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage
from pydicom.valuerep import format_number_as_ds

from dicomnode.dicom import codes
from dicomnode.dicom.context import Context, laterality, stamp
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.modules import LOSSY
from dicomnode.dicom.references import STAND_IN, as_sent, by_series, item, source_image
from dicomnode.dicom.results.geometry import ORIENTATION, ORIGIN, Geometry
from dicomnode.dicom.results.segments import (
    Segment,
    algorithm,
    full_image,
    lesion_segment,
    segments,
)
from dicomnode.science.findings import Findings

__all__ = ["segmentation"]

Part = Literal["seg", "lesion"]
"""What a SEG holds, by the kind of output it is."""
LABELS: Mapping[Part, str] = {"seg": "PERFUSION", "lesion": "LESION"}
CONTENTS: Mapping[Part, str] = {
    "seg": "Perfusion sub-regions of a breast lesion",
    "lesion": "Breast lesion",
}


def segmentation(
    exam: Exam,
    findings: Findings,
    context: Context,
    kind: Part = "seg",
    *,
    geometry: Geometry = "orientation",
) -> Dataset:
    """Build a BINARY Segmentation of the reference frame, one SEG frame per segment.

    Parameters
    ----------
    kind : {"seg", "lesion"}
        The map of sub-regions with the ring around them, or the lesion as a whole.
    geometry : {"orientation", "full"}
        "orientation" (plane orientation, no position) is what OHIF and Weasis show in place;
        "full" adds a plane position per frame for 3D Slicer.
    """
    clip, frame = exam.frame_of(findings.reference_frame)
    parts = segments(findings) if kind == "seg" else (lesion_segment(findings),)
    rows, columns = int(clip.header.Rows), int(clip.header.Columns)
    masks = [full_image(part.mask, exam.contrast, rows, columns) for part in parts]
    dataset: Dataset = Segmentation(
        source_images=[_stand_in(clip.header, findings.spacing_mm)],
        pixel_array=np.stack(masks, axis=-1)[np.newaxis].astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(part, findings, context) for part in parts],
        series_instance_uid=context.series_uid(kind),
        series_number=1,
        sop_instance_uid=context.instance_uid(kind),
        instance_number=1,
        manufacturer=context.equipment.manufacturer,
        manufacturer_model_name=context.equipment.model,
        software_versions=context.equipment.software_version,
        device_serial_number=context.equipment.serial,
        omit_empty_frames=False,
        content_label=LABELS[kind],
        content_description=f"{CONTENTS[kind]}, AI, research use only",
    )
    dataset.SegmentsOverlap = "NO"
    dataset.PixelData = _packed(masks)
    _describe_frames(dataset, clip.header, frame, context, geometry)
    stamp(dataset, context, kind, SegmentationStorage)
    as_sent(dataset, [clip.header])
    dataset.CodingSchemeIdentificationSequence = [codes.private_scheme()]
    return dataset


def _packed(masks: Sequence[NDArray[np.bool_]]) -> bytes:
    """Return frames as one stream of bits, first pixel lowest, padded with 0 (PS3.5, 8.1.1).

    highdicom 0.28 pads with the character "0" and starts a byte with each frame below 8 pixels.
    """
    data = np.packbits(np.stack(masks).ravel(), bitorder="little").tobytes()
    return data + b"\0" * (len(data) % 2)


def _stand_in(header: Dataset, spacing_mm: tuple[float, float]) -> Dataset:
    """Return a single-frame header: highdicom takes one frame of a source without geometry.

    It also carries neither patient nor study; those are copied unchanged afterwards.
    """
    source = Dataset()
    source.SOPClassUID = STAND_IN
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        source[keyword] = deepcopy(header[keyword])
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
        setattr(source, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(source, keyword, "")
    for keyword in LOSSY:
        if keyword in header:
            source[keyword] = deepcopy(header[keyword])
    source.Modality = "US"
    source.Rows, source.Columns = int(header.Rows), int(header.Columns)
    source.NumberOfFrames = 1
    measures = Dataset()
    measures.PixelSpacing = [format_number_as_ds(float(spacing)) for spacing in spacing_mm]
    measures.SliceThickness = "1"
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    source.SharedFunctionalGroupsSequence = [shared]
    return source


def _description(part: Segment, findings: Findings, context: Context) -> SegmentDescription:
    used = algorithm(part.task, findings.models, context)
    description = SegmentDescription(
        segment_number=part.number,
        segment_label=part.label,
        segmented_property_category=part.category,
        segmented_property_type=part.type,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=used.name,
            family=used.family,
            version=used.version,
            source=context.equipment.manufacturer,
            parameters=dict(used.parameters) or None,
        ),
        tracking_uid=part.tracking_uid(context),
        tracking_id=part.tracking_id,
        anatomic_regions=[codes.BREAST],
        display_color=CIELabColor.from_rgb(*part.rgb),
    )
    if side := laterality(context.header):
        region = description.AnatomicRegionSequence[0]
        region.AnatomicRegionModifierSequence = [codes.code_item(codes.LATERALITY[side])]
    return description


def _describe_frames(
    dataset: Dataset, header: Dataset, frame: int, context: Context, geometry: Geometry
) -> None:
    """Tie every SEG frame to the one source frame, and give them the plane viewers ask for."""
    dataset.FrameOfReferenceUID = context.uid("frame of reference")
    dataset.PositionReferenceIndicator = None
    dataset.PatientOrientation = None
    dataset.ContentCreatorName = None
    organisation = context.uid("dimension organisation")
    dataset.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organisation)]
    dataset.DimensionIndexSequence = [
        _dimension(organisation, "TemporalPositionIndex", "FrameContentSequence"),
        _dimension(organisation, "ReferencedSegmentNumber", "SegmentIdentificationSequence"),
    ]
    orientation = item(ImageOrientationPatient=ORIENTATION)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence = [orientation]
    shared.pop("SegmentIdentificationSequence", None)  # highdicom shares that of a single segment
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence, start=1):
        content = item(DimensionIndexValues=[1, number], TemporalPositionIndex=1)
        group.FrameContentSequence = [content]
        group.SegmentIdentificationSequence = [item(ReferencedSegmentNumber=number)]
        group.DerivationImageSequence = [_derivation(header, frame)]
        if geometry == "full":
            group.PlanePositionSequence = [item(ImagePositionPatient=ORIGIN)]
    dataset.ReferencedSeriesSequence = by_series([header], "ReferencedInstanceSequence")


def _derivation(header: Dataset, frame: int) -> Dataset:
    """Return how a frame was derived, with a single-valued source frame (PS3.3 C.7.6.16.2.6)."""
    source = source_image(header, frame)
    source.SpatialLocationsPreserved = "YES"
    derivation = item(SourceImageSequence=[source])
    derivation.DerivationCodeSequence = [codes.code_item(codes.SEGMENTATION)]
    return derivation


def _dimension(organisation: str, index: str, group: str) -> Dataset:
    return item(
        DimensionOrganizationUID=organisation,
        DimensionIndexPointer=tag_for_keyword(index),
        FunctionalGroupPointer=tag_for_keyword(group),
        DimensionDescriptionLabel=index,
    )
