"""Outlines of lesion and sub-regions over one frame of a clip (PS3.3 A.33.1 and A.33.2)."""

from collections.abc import Iterator, Sequence
from copy import deepcopy

import numpy as np
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import (
    ColorSoftcopyPresentationStateStorage,
    GrayscaleSoftcopyPresentationStateStorage,
)

from dicomnode.dicom.context import RESEARCH_USE, Context, laterality, stamp
from dicomnode.dicom.copied import copy_element
from dicomnode.dicom.elements import number_of
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.limits import LONGEST_SHORT_VALUE
from dicomnode.dicom.references import item, reference
from dicomnode.dicom.results.drawing import Drawn, Place, Points, drawn_regions, label_places
from dicomnode.dicom.results.segments import Segment
from dicomnode.dicom.results.srgb import COLOR_SPACE, srgb_profile
from dicomnode.science.findings import Findings

__all__ = ["presentation_state"]

INVERTED = "MONOCHROME1"
GREY = ("MONOCHROME2", INVERTED)
RESCALE = ("RescaleIntercept", "RescaleSlope")
NOTICE = "NOTICE"
NOTICE_RGB = (255, 255, 255)
NOTICE_PLACE: Place = (0.0, 0.95, 1.0, 1.0)
"""As shares of what is displayed."""
MOST_POINTS = LONGEST_SHORT_VALUE // 8
"""Points of a polyline, two floats of four bytes each."""


def presentation_state(exam: Exam, findings: Findings, context: Context) -> Dataset:
    """Build the presentation state that draws outlines over the reference frame.

    A clip in colour gets a Color, one in grey a Grayscale Softcopy Presentation State; it looks as
    without it but for what is drawn. The lesion and each sub-region have a graphic layer of their
    own, in their colours, so that a viewer can hide any. All of it refers to the one frame: on the
    others the tissue lies elsewhere.
    """
    clip, frame = exam.frame_of(findings.reference_frame)
    shown = reference(clip.header, frame)
    regions = list(drawn_regions(exam, findings))
    rows, columns = int(clip.header.Rows), int(clip.header.Columns)
    places = label_places(regions, exam.contrast, rows, columns)
    dataset = Dataset()
    if str(clip.header.PhotometricInterpretation) in GREY:
        stamp(dataset, context, "presentation", GrayscaleSoftcopyPresentationStateStorage)
        _keep_grey(dataset, clip.header)
    else:
        stamp(dataset, context, "presentation", ColorSoftcopyPresentationStateStorage)
        _keep_colour(dataset, clip.header)
    _describe_content(dataset, context)
    series = item(SeriesInstanceUID=clip.header.SeriesInstanceUID, ReferencedImageSequence=[shown])
    dataset.ReferencedSeriesSequence = [series]
    dataset.DisplayedAreaSelectionSequence = [_displayed_area(clip.header)]
    annotations = [
        _annotation(region, place, context) for region, place in zip(regions, places, strict=True)
    ]
    dataset.GraphicAnnotationSequence = [*annotations, _notice()]
    for annotation in dataset.GraphicAnnotationSequence:
        annotation.ReferencedImageSequence = [deepcopy(shown)]
    dataset.GraphicLayerSequence = list(_layers(regions))
    return dataset


def _describe_content(dataset: Dataset, context: Context) -> None:
    """Write what it is and its time, which has a name of its own (PS3.3 C.11.10)."""
    dataset.ContentLabel = "OUTLINES"
    dataset.ContentDescription = "Outlines of a breast lesion, AI, research use only"
    dataset.ContentCreatorName = None
    dataset.PresentationCreationDate = dataset.ContentDate
    dataset.PresentationCreationTime = dataset.ContentTime
    del dataset.ContentDate, dataset.ContentTime
    dataset.Laterality = laterality(context.header)  # type 2C: empty where it is not known


def _displayed_area(header: Dataset) -> Dataset:
    r"""Select the whole image, in pixels from 1\1, with the pixels it has (PS3.3 C.10.4)."""
    return item(
        DisplayedAreaTopLeftHandCorner=[1, 1],
        DisplayedAreaBottomRightHandCorner=[int(header.Columns), int(header.Rows)],
        PresentationSizeMode="SCALE TO FIT",
        PresentationPixelAspectRatio=_aspect_ratio(header),
    )


def _aspect_ratio(header: Dataset) -> list[int]:
    """Return height to width of a pixel as the clip states it, else 1 to 1."""
    ratio = header.get("PixelAspectRatio")
    parts = [number_of(part) for part in ratio] if isinstance(ratio, MultiValue) else []
    whole = [int(part) for part in parts if part is not None and part >= 1 and part.is_integer()]
    return whole if len(whole) == len(parts) == 2 else [1, 1]


def _annotation(region: Drawn, place: Place, context: Context) -> Dataset:
    """Return outlines and label of a region (PS3.3 C.10.5)."""
    lines = [line for outline in region.outlines for line in _lines(outline)]
    label = _text(region.part.label, place, units="PIXEL", justification="LEFT")
    label.AnchorPointAnnotationUnits = "PIXEL"
    label.AnchorPoint = _nearest(region.outlines[0], place)
    label.AnchorPointVisibility = "N"
    return item(
        GraphicLayer=region.name,
        GraphicObjectSequence=[_graphic(line, region.part, context) for line in lines],
        TextObjectSequence=[label],
    )


def _lines(outline: Points) -> Iterator[Points]:
    """Yield the polylines that an outline is drawn with; one ends where the next begins."""
    for start in range(0, len(outline) - 1, MOST_POINTS - 1):
        yield outline[start : start + MOST_POINTS]


def _graphic(line: Points, part: Segment, context: Context) -> Dataset:
    return item(
        GraphicAnnotationUnits="PIXEL",
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(line),
        GraphicData=line.astype(np.float32).ravel().tolist(),
        GraphicType="POLYLINE",
        GraphicFilled="N",
        TrackingID=part.tracking_id,
        TrackingUID=part.tracking_uid(context),
    )


def _text(words: str, place: Place, *, units: str, justification: str) -> Dataset:
    return item(
        UnformattedTextValue=words,
        BoundingBoxAnnotationUnits=units,
        BoundingBoxTopLeftHandCorner=list(place[:2]),
        BoundingBoxBottomRightHandCorner=list(place[2:]),
        BoundingBoxTextHorizontalJustification=justification,
    )


def _nearest(outline: Points, place: Place) -> list[float]:
    """Return the point of an outline that is nearest to the middle of a place."""
    middle = np.array(place).reshape(2, 2).mean(axis=0)
    nearest: Points = outline[np.argmin(np.hypot(*(outline - middle).T))]
    return [float(value) for value in nearest]


def _notice() -> Dataset:
    """Return what must be read with the outlines, at the lower edge of whatever is displayed."""
    text = _text(RESEARCH_USE, NOTICE_PLACE, units="DISPLAY", justification="CENTER")
    return item(GraphicLayer=NOTICE, TextObjectSequence=[text])


def _layers(regions: Sequence[Drawn]) -> Iterator[Dataset]:
    """Yield the graphic layers in the order in which they are drawn (PS3.3 C.10.7).

    Neighbours share a border, which has the colour of the one drawn last: of the smaller region,
    and around all of them the lesion's.
    """
    lesion, *parts = regions
    parts.sort(key=lambda region: np.count_nonzero(region.part.mask), reverse=True)
    for order, region in enumerate([*parts, lesion], start=1):
        yield _layer(region.name, order, region.part.label, region.part.rgb)
    yield _layer(NOTICE, len(regions) + 1, "Research use only", NOTICE_RGB)


def _layer(name: str, order: int, words: str, rgb: tuple[int, int, int]) -> Dataset:
    """Return a layer with its colour; its grey is the lightness, as even in steps as P-Values."""
    lab = [int(value) for value in CIELabColor.from_rgb(*rgb).value]
    return item(
        GraphicLayer=name,
        GraphicLayerOrder=order,
        GraphicLayerDescription=words,
        GraphicLayerRecommendedDisplayGrayscaleValue=lab[0],
        GraphicLayerRecommendedDisplayCIELabValue=lab,
    )


def _keep_colour(dataset: Dataset, header: Dataset) -> None:
    """Say what the clip's colours are: as it does itself, else sRGB (PS3.3 C.11.15)."""
    if header.get("ICCProfile"):
        dataset.ICCProfile = header.ICCProfile
        if header.get("ColorSpace"):
            dataset.ColorSpace = header.ColorSpace
    else:
        dataset.ICCProfile = srgb_profile()
        dataset.ColorSpace = COLOR_SPACE


def _keep_grey(dataset: Dataset, header: Dataset) -> None:
    """Keep the clip's grey levels: transformations that are not repeated are off (PS3.4 N.2)."""
    if all(number_of(header.get(keyword)) is not None for keyword in RESCALE):
        for keyword in RESCALE:
            copy_element(keyword, header, dataset)
        dataset.RescaleType = header.get("RescaleType") or "US"
    else:
        copy_element("ModalityLUTSequence", header, dataset)
    if len(window := _window(header)):
        dataset.SoftcopyVOILUTSequence = [window]
    inverted = str(header.PhotometricInterpretation) == INVERTED
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"


def _window(header: Dataset) -> Dataset:
    """Return the clip's VOI LUT or the first of its windows; an empty item where it has none."""
    window = Dataset()
    copy_element("VOILUTSequence", header, window)
    center, width = (_first(header.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if "VOILUTSequence" not in window and number_of(center) is not None and number_of(width):
        window.WindowCenter, window.WindowWidth = center, width
        copy_element("VOILUTFunction", header, window)
    return window


def _first(value: object) -> object:
    return value[0] if isinstance(value, MultiValue) else value
