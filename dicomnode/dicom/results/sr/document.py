"""The structured report: Comprehensive 3D SR after TID 1500, unverified and preliminary."""

from collections.abc import Container, Sequence
from copy import deepcopy

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    ImageLibrary,
    LanguageOfContentItemAndDescendants,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as public
from pydicom.sr.coding import Code
from pydicom.uid import (
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from dicomnode.dicom import codes
from dicomnode.dicom.context import Context, stamp
from dicomnode.dicom.copied import mended
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.references import STAND_IN, as_sent, by_study
from dicomnode.dicom.results.segments import segments
from dicomnode.dicom.results.sr.evaluations import of_exam, of_refusal
from dicomnode.dicom.results.sr.groups import measurement_groups
from dicomnode.dicom.results.sr.items import container
from dicomnode.errors import OutputError, Reason
from dicomnode.science.findings import Findings

__all__ = ["refusal", "report"]

PICTURES = (SecondaryCaptureImageStorage, UltrasoundMultiFrameImageStorage)
"""Results that are looked at as they are."""
LANGUAGE = Code("en-US", "RFC5646", "English (United States)")


def report(
    exam: Exam,
    findings: Findings,
    context: Context,
    seg: Dataset,
    others: Sequence[Dataset] = (),
) -> Dataset:
    """Build the report of an analysed exam, the root of its results (IHE AI Results).

    Parameters
    ----------
    seg : Dataset
        The SEG of sub-regions that the groups refer to.
    others : sequence of Dataset
        Headers of all further results: pictures stand in the image library, all in the evidence.
    """
    parts = segments(findings)
    if len(seg.SegmentSequence) < len(parts):
        raise OutputError(
            f"report: expected a SEG with {len(parts)} segments, got {len(seg.SegmentSequence)}"
        )
    groups = measurement_groups(exam, findings, context, parts, seg)
    pictures = [other for other in others if other.SOPClassUID in PICTURES]
    content = [
        *_library([*context.sources, *pictures], context),
        container(public.DCM.ImagingMeasurements, (item for group in groups for item in group)),
        of_exam(findings),
    ]
    return _document(context, content, [*context.sources, seg, *others])


def refusal(context: Context, reasons: Sequence[Reason]) -> Dataset:
    """Build a report that says why the exam was not analysed."""
    if not reasons:
        raise OutputError("refusal: expected at least one reason, got none")
    return _document(context, [of_refusal(reasons)], context.sources)


def _document(
    context: Context, content: Sequence[ContentItem], evidence: Sequence[Dataset]
) -> Dataset:
    """Build a measurement report (TID 1500) of this content.

    highdicom's class for it knows no qualitative evaluations.
    """
    root = ContainerContentItem(name=public.DCM.ImagingMeasurementReport, template_id="1500")
    root.ContentSequence = ContentSequence(
        [
            *LanguageOfContentItemAndDescendants(LANGUAGE),
            *ObservationContext(observer_device_context=_observer(context)),
            CodeContentItem(
                name=public.DCM.ProcedureReported,
                value=codes.IMAGING_PROCEDURE,
                relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
            ),
            *content,
        ]
    )
    dataset = Dataset()
    dataset.update(root)
    _separate(dataset)
    _describe_document(dataset, context, evidence)
    stamp(dataset, context, "sr", Comprehensive3DSRStorage)
    as_sent(dataset, context.sources)
    dataset.CodingSchemeIdentificationSequence = [codes.private_scheme()]
    return dataset


def _separate(item: Dataset) -> None:
    """Make every container separate (PS3.3 C.18.8), so that readers print names beside values.

    Continuous text is printed as sentences, without the names; highdicom makes all of it so.
    """
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
    for below in item.get("ContentSequence", ()):
        _separate(below)


def _describe_document(dataset: Dataset, context: Context, evidence: Sequence[Dataset]) -> None:
    """Write what the document is and what it rests on (PS3.3 C.17.1 and C.17.2).

    highdicom's document classes copy the whole content twice, and mend or refuse what the source
    says of its patient; hence content from highdicom, and these few lines.
    """
    dataset.CompletionFlag = "COMPLETE"
    dataset.PreliminaryFlag = "PRELIMINARY"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PerformedProcedureCodeSequence = []
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.CurrentRequestedProcedureEvidenceSequence = by_study(evidence)
    if context.replaces is not None:
        dataset.PredecessorDocumentsSequence = by_study([context.replaces])
    if requests := _requests(context.header):
        dataset.ReferencedRequestSequence = requests


def _library(images: Sequence[Dataset], context: Context) -> ImageLibrary:
    """Return an image library (TID 1600); highdicom would call every entry "Source"."""
    sources = _uids(context.sources)
    library = ImageLibrary([_entry(image, sources) for image in images])
    for item in (item for group in library[0].ContentSequence for item in group.ContentSequence):
        (referenced,) = item.ReferencedSOPSequence
        if str(referenced.ReferencedSOPInstanceUID) not in sources:
            item.ConceptNameCodeSequence = [codes.code_item(codes.ILLUSTRATION)]
        if referenced.ReferencedSOPClassUID == SecondaryCaptureImageStorage:
            del item.ContentSequence[0]  # its modality, which CID 29 does not know
    return library


def _entry(image: Dataset, sources: Container[str]) -> Dataset:
    entry = Dataset()
    entry.SOPClassUID = STAND_IN if str(image.SOPInstanceUID) in sources else image.SOPClassUID
    entry.SOPInstanceUID, entry.Modality = image.SOPInstanceUID, "US"
    entry.Rows, entry.Columns = image.Rows, image.Columns
    return entry


def _observer(context: Context) -> ObserverContext:
    equipment = context.equipment
    device = DeviceObserverIdentifyingAttributes(
        uid=equipment.uid,
        name=equipment.station or equipment.model,
        manufacturer_name=equipment.manufacturer,
        model_name=equipment.model,
        serial_number=equipment.serial,
    )
    return ObserverContext(observer_type=public.DCM.Device, observer_identifying_attributes=device)


def _uids(instances: Sequence[Dataset]) -> set[str]:
    return {str(instance.SOPInstanceUID) for instance in instances}


def _requests(header: Dataset) -> list[Dataset]:
    """Return the requests that the source answers as an SR states them (PS3.3 C.17.2)."""
    attributes = mended(header, "RequestAttributesSequence")
    return [_request(header, item) for item in (attributes.value if attributes else ())]


def _request(header: Dataset, attributes: Dataset) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = attributes.get("StudyInstanceUID") or header.StudyInstanceUID
    item.ReferencedStudySequence = []
    item.AccessionNumber = attributes.get("AccessionNumber") or header.get("AccessionNumber")
    item.PlacerOrderNumberImagingServiceRequest = None
    item.FillerOrderNumberImagingServiceRequest = None
    item.RequestedProcedureID = attributes.get("RequestedProcedureID")
    item.RequestedProcedureDescription = attributes.get("RequestedProcedureDescription")
    item.RequestedProcedureCodeSequence = deepcopy(
        attributes.get("RequestedProcedureCodeSequence") or []
    )
    return item
