"""The structured report: Comprehensive 3D SR after TID 1500, unverified and preliminary."""

from collections.abc import Sequence
from copy import deepcopy

from highdicom.sr import (
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as public
from pydicom.uid import Comprehensive3DSRStorage

from dicomnode.dicom import codes
from dicomnode.dicom.context import RESEARCH_USE, Context, stamp
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.segments import segments
from dicomnode.dicom.sr.groups import Group, exam_groups, remarks
from dicomnode.errors import OutputError, Reason
from dicomnode.science.findings import Findings, ModelUse

__all__ = ["refusal", "report"]


def report(exam: Exam, findings: Findings, context: Context, seg: Dataset) -> Dataset:
    """Build the report of an analysed exam; ``seg`` is the SEG that it refers to."""
    parts = segments(findings)
    if len(seg.SegmentSequence) < len(parts):
        raise OutputError(
            f"report: expected a SEG with {len(parts)} segments, got {len(seg.SegmentSequence)}"
        )
    notice = remarks("Notice", context, [RESEARCH_USE, *_training(findings.models)])
    groups = exam_groups(exam, findings, context, parts, seg)
    return _document(context, [*groups, notice], [*context.sources, seg])


def refusal(context: Context, reasons: Sequence[Reason]) -> Dataset:
    """Build a report that says why the exam was not analysed."""
    if not reasons:
        raise OutputError("refusal: expected at least one reason, got none")
    texts = [f"{reason.code}: {reason.text}" for reason in reasons]
    evaluations = [(codes.STATUS, codes.REFUSED)]
    group = remarks("Refusal", context, [*texts, RESEARCH_USE], evaluations)
    return _document(context, [group], context.sources)


def _training(models: Sequence[ModelUse]) -> list[str]:
    return [
        f"Model {model.name} {model.version} ({model.task}) was trained on: {model.trained_on}. "
        "Not clinically validated."
        for model in models
    ]


def _document(context: Context, groups: Sequence[Group], evidence: Sequence[Dataset]) -> Dataset:
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(context)),
        procedure_reported=codes.IMAGING_PROCEDURE,
        imaging_measurements=groups,
        title=public.DCM.ImagingMeasurementReport,
    )
    dataset: Dataset = Comprehensive3DSR(
        evidence=[_stand_in(instance) for instance in evidence],
        content=content,
        series_instance_uid=context.series_uid("sr"),
        series_number=1,
        sop_instance_uid=context.instance_uid("sr"),
        instance_number=1,
        manufacturer=context.equipment.manufacturer,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    stamp(dataset, context, "sr", Comprehensive3DSRStorage)
    dataset.CodingSchemeIdentificationSequence = [codes.private_scheme()]
    if requests := _requests(context.header):
        dataset.ReferencedRequestSequence = requests
    return dataset


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


def _stand_in(instance: Dataset) -> Dataset:
    """Return what evidence needs to say about an instance; highdicom also asks for a patient."""
    item = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        item[keyword] = deepcopy(instance[keyword])
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
        setattr(item, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(item, keyword, "")
    return item


def _requests(header: Dataset) -> list[Dataset]:
    """Return the requests that the source answers as an SR states them (PS3.3 C.17.2)."""
    return [_request(header, item) for item in header.get("RequestAttributesSequence") or ()]


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
