"""Kinetic parameters of every measured pixel as Parametric Map, one frame each (PS3.3 A.75)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ParametricMapStorage
from pydicom.valuerep import format_number_as_ds

from dicomnode.dicom import codes
from dicomnode.dicom.context import RESEARCH_USE, Context, laterality, stamp
from dicomnode.dicom.copied import copy_element
from dicomnode.dicom.exam import Clip, Exam
from dicomnode.dicom.modules import LOSSY
from dicomnode.dicom.references import by_series, item, source_image
from dicomnode.dicom.results.geometry import ORIENTATION, ORIGIN
from dicomnode.dicom.results.segments import algorithm, full_image
from dicomnode.errors import OutputError
from dicomnode.science.findings import UNRELIABLE, Findings
from dicomnode.science.kinetics import PARAMETERS, Parameter

__all__ = ["parametric_map"]

Image = NDArray[np.float32]

NOT_MEASURED = float("nan")
"""Pixel value of what was not measured, which PS3.5, 8 allows.

A number would be a measurement to whoever does not look at the padding; whatever is computed from
NaN stays NaN. Float Pixel Padding Value could say it again (PS3.3 C.7.6.24.1), but NaN in an
element ends dcm4che, fo-dicom and dcmjs, which read elements long before they show pixels.
"""
GREATEST = float(np.finfo(np.float32).max)
IMAGE_TYPE = ["DERIVED", "PRIMARY", "PERFUSION", "QUANTITY"]
"""PS3.3 C.8.32.2: image flavor and derived pixel contrast of C.8.16.1."""
SHOWN_PERCENTILES = (2, 98)
"""Of the reliable part of the lesion: what a display window spans."""


def parametric_map(exam: Exam, findings: Findings, context: Context) -> Dataset:
    """Build a Parametric Map of float32, one frame per kinetic parameter that has a map.

    Frames are whole images of the source, in the order of :data:`PARAMETERS`; each says what
    quantity it is and in what unit, and stored values are real-world values. What was not
    measured is NaN. The plane is the one that the SEG with geometry "full" has, in the same
    frame of reference.
    """
    clip, frame = exam.frame_of(findings.reference_frame)
    shown = [parameter for parameter in PARAMETERS if parameter.name in findings.maps]
    if not shown:
        raise OutputError("parametric map: expected the map of at least one parameter, got none")
    rows, columns = int(clip.header.Rows), int(clip.header.Columns)
    maps = [findings.maps[parameter.name] for parameter in shown]
    measured = [np.where(np.isfinite(values), values, NOT_MEASURED) for values in maps]
    images = [
        full_image(values, exam.contrast, rows, columns, outside=NOT_MEASURED)
        for values in measured
    ]
    dataset = Dataset()
    stamp(dataset, context, "parametric", ParametricMapStorage)
    _describe_content(dataset, findings, context)
    _describe_sources(dataset, exam)
    _describe_pixels(dataset, images)
    _describe_dimension(dataset, context)
    _describe_groups(dataset, findings, context)
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(number, parameter, findings, _derivation(parameter, clip, frame))
        for number, parameter in enumerate(shown, start=1)
    ]
    dataset.CodingSchemeIdentificationSequence = [codes.private_scheme()]
    return dataset


def _describe_content(dataset: Dataset, findings: Findings, context: Context) -> None:
    dataset.ImageType = IMAGE_TYPE
    dataset.ContentLabel = "PERFUSION"
    dataset.ContentDescription = "Perfusion parameters of a breast lesion, AI, research use only"
    dataset.ContentCreatorName = None
    dataset.ContentQualification = "RESEARCH"
    dataset.DerivationDescription = f"{_how(findings, context)} {RESEARCH_USE}"
    dataset.ImageComments = RESEARCH_USE
    dataset.BurnedInAnnotation = "NO"
    dataset.RecognizableVisualFeatures = "NO"
    dataset.PatientOrientation = None
    dataset.AcquisitionContextSequence = []


def _how(findings: Findings, context: Context) -> str:
    used = algorithm("segment", findings.models, context)
    return codes.plain(
        f"A {findings.bolus.family} bolus fitted to the motion-compensated echo power of every "
        f"pixel of the lesion, which {used.name} {used.version} found, and of the tissue around "
        "it. Not a number where nothing was measured."
    )


def _describe_sources(dataset: Dataset, exam: Exam) -> None:
    """Name all clips, for every frame of them was measured (PS3.3 C.7.6.1 and C.12.2)."""
    headers = [clip.header for clip in exam.clips]
    dataset.SourceImageSequence = [source_image(header) for header in headers]
    dataset.ReferencedSeriesSequence = by_series(headers, "ReferencedInstanceSequence")
    dataset.LossyImageCompression = "00"
    for header in headers:
        if str(header.get("LossyImageCompression")) == "01":
            for keyword in LOSSY:
                copy_element(keyword, header, dataset)
            break


def _describe_pixels(dataset: Dataset, images: Sequence[Image]) -> None:
    """Write the frames (PS3.3 C.7.6.24)."""
    dataset.NumberOfFrames = len(images)
    dataset.Rows, dataset.Columns = images[0].shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 32
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.FloatPixelData = b"".join(image.astype("<f4").tobytes() for image in images)


def _describe_dimension(dataset: Dataset, context: Context) -> None:
    """Say that frames differ in what they measure, not in where (PS3.3 A.75.1)."""
    dataset.FrameOfReferenceUID = context.uid("frame of reference")
    dataset.PositionReferenceIndicator = None
    organisation = context.uid("dimension organisation", "parametric")
    dataset.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organisation)]
    dataset.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=organisation,
            DimensionIndexPointer=tag_for_keyword("LUTLabel"),
            FunctionalGroupPointer=tag_for_keyword("RealWorldValueMappingSequence"),
            DimensionDescriptionLabel="LUTLabel",
        )
    ]


def _describe_groups(dataset: Dataset, findings: Findings, context: Context) -> None:
    """Write what is the same for all frames (PS3.3 A.75.5).

    A frame's laterality cannot be unknown; where it is, there is the empty one of the series.
    """
    spacing = [format_number_as_ds(float(spacing)) for spacing in findings.spacing_mm]
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=spacing)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=ORIENTATION)],
        PixelValueTransformationSequence=[
            item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")
        ],
        ParametricMapFrameTypeSequence=[item(FrameType=IMAGE_TYPE)],
    )
    if side := laterality(context.header):
        anatomy = item(AnatomicRegionSequence=[codes.code_item(codes.BREAST)], FrameLaterality=side)
        shared.FrameAnatomySequence = [anatomy]
    else:
        dataset.Laterality = None
    dataset.SharedFunctionalGroupsSequence = [shared]


def _frame(number: int, parameter: Parameter, findings: Findings, derivation: Dataset) -> Dataset:
    content = item(DimensionIndexValues=[number], FrameLabel=parameter.name)
    return item(
        FrameContentSequence=[content],
        PlanePositionSequence=[item(ImagePositionPatient=ORIGIN)],
        RealWorldValueMappingSequence=[_mapping(parameter, findings.bolus.family)],
        FrameVOILUTSequence=[_window(findings.maps[parameter.name], findings)],
        DerivationImageSequence=[derivation],
    )


def _mapping(parameter: Parameter, family: str) -> Dataset:
    """Return quantity and unit of stored values, which are real-world values (C.7.6.16.2.11)."""
    quantity, unit = codes.parameter(parameter.name), codes.unit(parameter.unit)
    bolus = codes.private(family.upper(), f"{family} bolus")
    return item(
        LUTLabel=parameter.name,
        LUTExplanation=codes.plain(f"{quantity.meaning}, {unit.value}", 64),
        MeasurementUnitsCodeSequence=[codes.code_item(unit)],
        QuantityDefinitionSequence=[
            _defined(codes.QUANTITY, quantity),
            _defined(codes.MODEL_FITTING, bolus),
        ],
        RealWorldValueSlope=1.0,
        RealWorldValueIntercept=0.0,
        DoubleFloatRealWorldValueFirstValueMapped=-GREATEST,
        DoubleFloatRealWorldValueLastValueMapped=GREATEST,
    )


def _defined(name: Code, value: Code) -> Dataset:
    """Return an item of Quantity Definition Sequence (PS3.3 A.75.5.1, names of CID 9000)."""
    return item(
        ValueType="CODE",
        ConceptNameCodeSequence=[codes.code_item(name)],
        ConceptCodeSequence=[codes.code_item(value)],
    )


def _window(values: Image, findings: Findings) -> Dataset:
    """Return the window that shows the reliable part of the lesion, else all that was measured.

    The exact function: LINEAR is off by half a unit and allows no width below 1 (PS3.3
    C.11.2.1.3.2), where some parameters are of the order of 0.01.
    """
    reliable = findings.lesion_mask & (findings.subregion_map != UNRELIABLE)
    finite = np.isfinite(values)
    seen = values[reliable & finite] if (reliable & finite).any() else values[finite]
    low, high = np.percentile(seen.astype(np.float64), SHOWN_PERCENTILES) if seen.size else (0, 1)
    return item(
        WindowCenter=format_number_as_ds(float(low + high) / 2),
        WindowWidth=format_number_as_ds(float(high - low) or 1.0),
        VOILUTFunction="LINEAR_EXACT",
    )


def _derivation(parameter: Parameter, clip: Clip, frame: int) -> Dataset:
    """Return how a frame was derived, with a single-valued source frame (PS3.3 C.7.6.16.2.6)."""
    source = source_image(clip.header, frame)
    source.SpatialLocationsPreserved = "YES"
    return item(
        DerivationDescription=codes.plain(parameter.definition),
        DerivationCodeSequence=[codes.code_item(codes.PERFUSION_ANALYSIS)],
        SourceImageSequence=[source],
    )
