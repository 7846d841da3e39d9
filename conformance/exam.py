"""The made-up exam in three cases, and every object that is written of each.

The cases differ in one thing each, so that where an attribute comes from is seen rather than
claimed: the base, the same findings in another source, another result of the same source.
"""

import tempfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from conformance import example
from dicomnode.dicom.context import exam_context
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.results.presentation import presentation_state
from dicomnode.errors import Reason
from dicomnode.outputs.options import EVERYTHING
from dicomnode.outputs.request import OutputFile
from dicomnode.outputs.write import write_outputs, write_refusal
from dicomnode.science.feature_table import FEATURES
from dicomnode.science.findings import Check, Contribution, Findings
from dicomnode.science.quality import RULES

__all__ = ["Case", "Cases", "cases", "findings"]

TEXTS = ("PN", "LO", "SH", "LT")
OTHER_VALUES = {"PatientSex": "M", "Laterality": "R", "SpecificCharacterSet": "ISO_IR 192"}
REASON = Reason("no-bolus", "expected a rise of 2 dB or more, found 0.4 dB")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A source and the objects that were written of it, by kind of output."""

    header: Dataset
    objects: Mapping[str, Dataset]


@dataclass(frozen=True, kw_only=True)
class Cases:
    """The base, and what differs from it in its source or in its result."""

    base: Case
    other_source: Case
    other_result: Case

    def __iter__(self) -> Iterator[Case]:
        return iter((self.base, self.other_source, self.other_result))


@cache
def cases() -> Cases:
    """Write the objects of all three cases and read them back."""
    found, when = findings(), example.context().when
    base = _case(example.header(), found, when)
    later = when + timedelta(days=1, hours=1, seconds=1)
    return Cases(
        base=base,
        other_source=_case(_other_header(), _of_other_source(found), when),
        other_result=_case(example.header(), _other_result(found), later, base.objects["sr"]),
    )


def findings(share: float = 1.0) -> Findings:
    """Return the example's findings with every feature and every check that the code knows.

    ``share`` scales what the checks found.
    """
    found = example.findings()
    contributions = tuple(
        Contribution(feature=item.name, value=0.5, mean=0.4, contribution=0.1, meaning=item.meaning)
        for item in FEATURES
    )
    told = {"stated_db": 60.0, "source": "as the site states", "estimate_db": 52.0}
    checks = tuple(
        Check(
            name=rule.name,
            value=share * (rule.limit + 1),
            limit=rule.limit,
            unit=rule.unit,
            passed=True,
            refuses=rule.refuses,
            message=rule.message.format(value=share * (rule.limit + 1), limit=rule.limit, **told),
        )
        for rule in RULES
    )
    return replace(
        found,
        diagnosis=replace(found.diagnosis, contributions=contributions),
        quality=replace(found.quality, checks=checks),
    )


def _case(
    header: Dataset, found: Findings, when: datetime, replaces: Dataset | None = None
) -> Case:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.dcm"
        exam = _exam(path, header, found)
        _write_clip(path, header)
        context = exam_context(
            exam, models=found.models, recipe="recipe 1", when=when, replaces=replaces
        )
        files = write_outputs(exam, found, context, Path(folder), EVERYTHING)
        objects = _read(files)
        objects |= _read(write_refusal(context, (REASON,), Path(folder)))
        objects["presentation-grey"] = presentation_state(_in_grey(exam), found, context)
    return Case(header=header, objects=objects)


def _in_grey(exam: Exam) -> Exam:
    """Return the exam as if its clip had no colour: its presentation state is of another class."""
    header = deepcopy(exam.clips[0].header)
    header.PhotometricInterpretation, header.SamplesPerPixel = "MONOCHROME2", 1
    del header.PlanarConfiguration
    return replace(exam, clips=(replace(exam.clips[0], header=header),))


def _exam(path: Path, header: Dataset, found: Findings) -> Exam:
    exam = example.exam(path)
    clip = replace(exam.clips[0], header=header, frame_times_s=found.times_s)
    study_uid = str(header.StudyInstanceUID)
    return replace(exam, clips=(clip,), study_uid=study_uid, spacing_mm=found.spacing_mm)


def _write_clip(path: Path, header: Dataset) -> None:
    """Write black frames: what the objects say does not depend on them."""
    ds = deepcopy(header)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = bytes(3 * int(ds.NumberOfFrames) * int(ds.Rows) * int(ds.Columns))
    ds["PixelData"].VR = "OB"
    ds.save_as(path, enforce_file_format=True)


def _read(files: list[OutputFile]) -> dict[str, Dataset]:
    """Read the DICOM objects among what was written."""
    found: dict[str, Dataset] = {}
    for file in files:
        if file.sop_class_uid:
            found[file.kind] = dcmread(file.path)
            found[file.kind].walk(lambda _dataset, _element: None)  # read before the folder goes
    return found


def _other_header() -> Dataset:
    """Return another patient, study, scanner and image size."""
    header = example.header()
    header.walk(_change)
    header.Rows, header.Columns, header.NumberOfFrames = (
        example.ROWS + 8,
        example.COLUMNS + 4,
        example.FRAMES - 2,
    )
    header.FrameTime = "1500.000"
    header.LossyImageCompression = "01"
    header.LossyImageCompressionRatio = "12.5"
    header.LossyImageCompressionMethod = "ISO_10918_1"
    header.TimezoneOffsetFromUTC = "+0000"
    return header


def _change(_dataset: Dataset, element: DataElement) -> None:
    if element.keyword in OTHER_VALUES:
        element.value = OTHER_VALUES[element.keyword]
    elif element.VR in TEXTS and element.value:
        element.value = f"{element.value} 2"
    elif element.VR == "UI" and element.keyword != "SOPClassUID":
        element.value = f"{element.value}.2"
    elif element.VR in ("DA", "TM") and element.value:
        element.value = f"{element.value[:-1]}9"


def _of_other_source(found: Findings) -> Findings:
    """Return the same findings in a loop of two frames fewer and another scale."""
    return replace(
        found,
        times_s=1.1 * found.times_s[:-2],
        shift_px=found.shift_px[:-2],
        kept=found.kept[:-2],
        spacing_mm=(0.11, 0.13),
        curves=tuple(
            replace(curve, power=curve.power[:-2], fitted=curve.fitted[:-2])
            for curve in found.curves
        ),
    )


def _other_result(found: Findings) -> Findings:
    """Return another answer from other models: other outline, numbers, grade and curve family."""
    mask = found.lesion_mask.copy()
    mask[np.flatnonzero(mask.any(axis=1))[0]] = False
    return replace(
        found,
        reference_frame=found.reference_frame + 2,
        lesion_mask=mask,
        lesion=replace(found.lesion, area_mm2=1.1 * found.lesion.area_mm2),
        subregions=found.subregions[:-1],
        diagnosis=replace(found.diagnosis, malignant_probability=0.06, decision="benign"),
        quality=replace(findings(2.0).quality, grade="C"),
        models=tuple(
            replace(
                model,
                name=f"{model.name}-2",
                version="0.2.0",
                sha256=model.sha256[::-1],
                manifest_sha256=model.manifest_sha256[::-1],
                trained_on="other exams",
                figures=(),
            )
            for model in found.models
        ),
        bolus=replace(found.bolus, family="LDRW"),
        warnings=(),
    )
