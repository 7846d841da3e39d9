"""What results copy is of its own representation, whatever the source holds there."""

import struct
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from conformance import example
from dicomnode.dicom.context import study_context
from dicomnode.dicom.fitting import fitting
from dicomnode.dicom.header import read_header
from dicomnode.dicom.results import sr
from parts.mutations import MUTATIONS, Place, data_set
from parts.outputs import REASONS

COPIED: dict[str, Place] = {
    keyword: (Tag(keyword),)
    for keyword in (
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
        *("StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription"),
        *("Manufacturer", "Laterality"),
    )
} | {
    "RequestedProcedureDescription": (
        (Tag("RequestAttributesSequence"), 0),
        Tag("RequestedProcedureDescription"),
    )
}
META = b"\2\0\x10\0UI\x14\0" + ExplicitVRLittleEndian.encode() + b"\0"
BEFORE = bytes(128) + b"DICM\2\0\0\0UL\4\0" + struct.pack("<I", len(META)) + META


NO_REQUESTS = ("as text", "as a number", "as a tag", "bytes", "three numbers", "an empty sequence")


@pytest.mark.parametrize(
    ("place", "mutation"),
    [(place, mutation) for place in COPIED.values() for mutation in MUTATIONS]
    + [((Tag("RequestAttributesSequence"),), mutation) for mutation in NO_REQUESTS],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_report_can_be_written_whatever_one_element_holds(
    tmp_path: Path, place: Place, mutation: str
) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(BEFORE + data_set(example.header(), {place: MUTATIONS[mutation]}))
    header = fitting(read_header(path).dataset)
    when = example.context().when
    written = BytesIO()
    report = sr.refusal(study_context([header], recipe="1", when=when), REASONS)
    report.save_as(written, enforce_file_format=True)
    written.seek(0)
    for element in dcmread(written).iterall():
        assert element.VR in dictionary_VR(element.tag).split(" or ")


def labelled(keyword: str, vr: str, value: object) -> object:
    dataset = Dataset()
    dataset.add_new(keyword, vr, value)
    return fitting(dataset).get(keyword)


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "expected"),
    [
        ("PatientID", "SH", "TEST-1", "TEST-1"),
        ("Rows", "LO", "96", 96),
        ("Rows", "FD", 96.0, 96),
        ("Rows", "FD", 96.5, None),
        ("FrameTime", "FD", 66.7, "66.7"),
        ("PhysicalDeltaX", "DS", "0.02", 0.02),
        ("PatientID", "OB", b"TEST-1", None),
        ("PatientName", "SQ", [Dataset()], None),
        ("RequestAttributesSequence", "LO", "none", None),
    ],
)
def test_a_wrong_label_is_put_right_where_the_value_is_right(
    keyword: str, vr: str, value: object, expected: object
) -> None:
    found = labelled(keyword, vr, value)
    assert (str(found) if isinstance(expected, str) else found) == expected


@pytest.mark.parametrize(("vr", "text"), [("DS", b"six "), ("IS", b"1.5x"), ("DS", b"6\\x ")])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_number_that_is_none_is_not_copied(tmp_path: Path, vr: str, text: bytes) -> None:
    keyword = {"DS": "LossyImageCompressionRatio", "IS": "SeriesNumber"}[vr]
    tag = Tag(keyword)
    place = struct.pack("<HH2sH", tag.group, tag.element, vr.encode(), len(text))
    path = tmp_path / "a.dcm"
    path.write_bytes(BEFORE + place + text)
    header = read_header(path).dataset
    assert keyword in header
    assert keyword not in fitting(header)
