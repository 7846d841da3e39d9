"""Files may be called, and patients named, in ways that are commands elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicomnode.cli import cli
from dicomnode.config import default_models_dir
from dicomnode.outputs.job import process
from dicomnode.outputs.request import Request
from parts.hostile import WORDS
from parts.wrap import native

NAMES = [word for word in WORDS.values() if "\0" not in word and "/" not in word]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A clip without contrast and a file that is none under each name."""
    folder = tmp_path / "study"
    folder.mkdir()
    clip = native(tmp_path / "clip.dcm", np.zeros((3, 8, 8), np.uint8), photometric="MONOCHROME2")
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(clip.read_bytes() if number % 2 else b"no DICOM")
    return folder


def test_a_refusal_names_every_file_in_one_line_each(study: Path, tmp_path: Path) -> None:
    output = tmp_path / "result"
    done = CliRunner().invoke(cli, ["analyse", str(study), "-o", str(output)])
    assert done.exit_code == 3, done.output
    assert all(line.isprintable() for line in done.output.split("\n"))
    reasons = json.loads((output / "result.json").read_text())["reasons"]
    assert len(reasons) == len(NAMES)
    assert all(reason["text"].isprintable() for reason in reasons)
    report = dcmread(output / "sr.dcm")
    texts = [str(item.TextValue) for item in report.ContentSequence if "TextValue" in item]
    assert all(text.isprintable() for text in texts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.dcm", "result", "study"]


ELEMENTS = {
    "PatientName": "PN",
    "PatientID": "LO",
    "StudyDescription": "LO",
    "SeriesDescription": "LO",
    "InstitutionName": "LO",
    "ManufacturerModelName": "LO",
    "AccessionNumber": "SH",
    "TimezoneOffsetFromUTC": "SH",
    "StudyDate": "DA",
    "BodyPartExamined": "CS",
    "Laterality": "CS",
    "ImageComments": "LT",
}


@pytest.mark.filterwarnings("ignore")  # pydicom's, of what stands in the source
@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_whatever_the_elements_say_the_result_carries_the_same_bytes(
    tmp_path: Path, word: str
) -> None:
    clip = native(tmp_path / "clip.dcm", np.zeros((3, 8, 8), np.uint8), photometric="MONOCHROME2")
    ds, value = dcmread(clip), word.encode("utf-8", "surrogateescape")
    for keyword, vr in ELEMENTS.items():
        tag = Tag(keyword)
        ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    ds.save_as(clip)
    (outcome,) = process([clip], tmp_path / "result", Request(models_dir=default_models_dir()))
    assert outcome.status == "refused"
    assert all(reason.text.isprintable() for reason in outcome.reasons)
    report = dcmread(tmp_path / "result" / "sr.dcm")
    for keyword in ("PatientName", "PatientID"):
        element = report.get_item(keyword)
        assert isinstance(element, RawDataElement)
        assert element.value is not None
        assert element.value.rstrip(b" \0") == value.rstrip(b" \0")
    made = sorted(path.name for path in tmp_path.rglob("*"))
    assert made == ["clip.dcm", "result", "result.json", "sr.dcm"]
