"""Context that every result object shares: patient and study, UIDs, equipment, series."""

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicomnode.dicom.codes import ACQUISITION_EQUIPMENT, code_item
from dicomnode.dicom.copied import copy_element, copy_patient_and_study, time_zone
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.modules import ACQUISITION
from dicomnode.errors import OutputError
from dicomnode.kinds import KINDS
from dicomnode.science.findings import ModelUse
from dicomnode.version import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, __version__

__all__ = [
    "RESEARCH_USE",
    "Context",
    "Equipment",
    "derived_uid",
    "exam_context",
    "laterality",
    "stamp",
    "study_context",
]

SIDES = ("ImageLaterality", "Laterality", "FrameLaterality")
RESEARCH_USE = "AI result. Research use only, not a medical device. Not for measurement."


def derived_uid(*parts: object) -> UID:
    """Return the UID that these parts always give: ``2.25.`` and 128 bits of their SHA-256.

    The version and variant bits of an RFC 4122 name-based UUID are set, as PS3.5 B.2 asks.
    """
    text = "\x1f".join(str(part) for part in parts)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return UID(f"2.25.{number}")


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What made the result (PS3.3 C.7.5.1 and C.7.5.2)."""

    manufacturer: str = "dicomnode"
    model: str = "dicomnode CEUS"
    software_version: str = __version__
    station: str = ""
    """Name of this node, e.g. its AE title; the serial number is derived from it."""

    @property
    def serial(self) -> str:
        """Serial number: the same for the same node and software."""
        parts = (self.manufacturer, self.model, self.software_version, self.station)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]

    @property
    def uid(self) -> UID:
        """Device UID of this node and software."""
        return derived_uid("device", self.serial)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the builders of all result objects of one exam share.

    Attributes
    ----------
    sources : tuple of Dataset
        Headers of the instances the result was made from; patient and study are the first one's.
    injection : int
        Which injection of the study, from 1.
    identity : str
        Digest of what decides the result (sources, models, recipe, software): every UID follows
        from it, none from the clock.
    when : datetime
        When the exam was analysed, written as content date and time.
    replaces : Dataset, optional
        Header of the report that this result's report takes the place of.
    """

    sources: tuple[Dataset, ...]
    injection: int
    identity: str
    when: datetime
    equipment: Equipment = Equipment()
    replaces: Dataset | None = None

    def __post_init__(self) -> None:
        if not self.sources:
            raise OutputError("a result object: expected at least one source instance, got none")

    @property
    def header(self) -> Dataset:
        """The source that patient and study are copied from."""
        return self.sources[0]

    def uid(self, *parts: object) -> UID:
        """Return the UID of a part of this result."""
        return derived_uid(self.identity, *parts)

    def instance_uid(self, kind: str) -> UID:
        """SOP Instance UID of the output of this kind."""
        return self.uid("instance", kind)

    def series_uid(self, kind: str) -> UID:
        """Series Instance UID of the output of this kind."""
        return self.uid("series", kind)


def exam_context(
    exam: Exam,
    *,
    models: Sequence[ModelUse],
    recipe: str,
    when: datetime,
    equipment: Equipment | None = None,
    replaces: Dataset | None = None,
) -> Context:
    """Return the context of an exam's results; ``recipe`` is any text that identifies it."""
    headers = [clip.header for clip in exam.clips]
    used = [
        f"{model.name} {model.version} {model.sha256} {model.manifest_sha256}" for model in models
    ]
    return study_context(
        headers,
        injection=exam.injection,
        recipe="\x1f".join([*used, recipe]),
        when=when,
        equipment=equipment,
        replaces=replaces,
    )


def study_context(
    headers: Sequence[Dataset],
    *,
    recipe: str,
    when: datetime,
    injection: int = 1,
    equipment: Equipment | None = None,
    replaces: Dataset | None = None,
) -> Context:
    """Return the context of a result about these instances where there is no exam (a refusal)."""
    equipment = equipment or Equipment()
    instances = sorted(str(header.SOPInstanceUID) for header in headers)
    parts = (injection, *instances, recipe, equipment.software_version)
    identity = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()
    return Context(
        sources=tuple(headers),
        injection=injection,
        identity=identity,
        when=when,
        equipment=equipment,
        replaces=replaces,
    )


def laterality(header: Dataset) -> Literal["L", "R"] | None:
    """Return the one side that the source states, or None: a side is never guessed.

    Both sides, stated as such ("B") or by elements that contradict one another, are none.
    """
    sides = {str(header.get(keyword) or "") for keyword in SIDES}
    for region in header.get("AnatomicRegionSequence") or ():
        for modifier in region.get("AnatomicRegionModifierSequence") or ():
            meaning = str(modifier.get("CodeMeaning", "")).lower()
            sides.add({"left": "L", "right": "R"}.get(meaning, ""))
    stated = sides & {"L", "R", "B"}
    if stated == {"L"}:
        return "L"
    return "R" if stated == {"R"} else None


def stamp(dataset: Dataset, context: Context, kind: str, sop_class_uid: str) -> None:
    """Write patient, study, series, equipment, SOP common and file meta into a result object."""
    copy_patient_and_study(dataset, context.header)
    _describe_series(dataset, context, kind)
    _describe_equipment(dataset, context)
    dataset.SOPClassUID = UID(sop_class_uid)
    dataset.SOPInstanceUID = context.instance_uid(kind)
    dataset.InstanceNumber = 1
    local = _local(context)
    for name in ("InstanceCreation", "Content"):
        setattr(dataset, f"{name}Date", local.strftime("%Y%m%d"))
        setattr(dataset, f"{name}Time", local.strftime("%H%M%S"))
    _describe_file(dataset)


def _describe_series(dataset: Dataset, context: Context, kind: str) -> None:
    series, local = KINDS[kind], _local(context)
    dataset.Modality = series.modality
    dataset.SeriesInstanceUID = context.series_uid(kind)
    dataset.SeriesNumber = series.series_number(context.injection)
    dataset.SeriesDescription = series.description
    dataset.SeriesDate = local.strftime("%Y%m%d")
    dataset.SeriesTime = local.strftime("%H%M%S")
    if series.modality != "SR":
        copy_element("RequestAttributesSequence", context.header, dataset)


def _describe_equipment(dataset: Dataset, context: Context) -> None:
    equipment = context.equipment
    dataset.Manufacturer = equipment.manufacturer
    dataset.ManufacturerModelName = equipment.model
    dataset.DeviceSerialNumber = equipment.serial
    dataset.SoftwareVersions = equipment.software_version
    if equipment.station:
        dataset.StationName = equipment.station
    scanner = Dataset()
    for keyword in ACQUISITION:
        if context.header.get(keyword):
            scanner[keyword] = deepcopy(context.header[keyword])
    if "Manufacturer" in scanner:  # type 1 in PS3.3 C.12.1.1.5
        scanner.PurposeOfReferenceCodeSequence = [code_item(ACQUISITION_EQUIPMENT)]
        dataset.ContributingEquipmentSequence = [scanner]
    elif "ContributingEquipmentSequence" in dataset:
        del dataset.ContributingEquipmentSequence


def _describe_file(dataset: Dataset) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    dataset.file_meta = meta
    dataset.preamble = b"\0" * 128


def _local(context: Context) -> datetime:
    """Return the analysis time on the clock of the source, else on this machine's.

    Where the source states no zone, its times are those of the department, as this machine's are;
    UTC beside them might be of another day.
    """
    if context.when.tzinfo is None:
        return context.when
    return context.when.astimezone(time_zone(context.header))
