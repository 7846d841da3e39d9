"""A real PACS gives our objects back over DICOMweb as they were sent."""

import email
import io
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from conformance import example
from parts.orthanc import AE_TITLE, Orthanc
from parts.outputs import Files, sized_seg
from parts.programs import program
from parts.waiting import PATIENCE_S

SENT = ("clip", "seg", "lesion", "sr", "overlay", "keyframe", "report", "refusal")
MODALITIES = {
    "seg": "SEG",
    "lesion": "SEG",
    "sr": "SR",
    "overlay": "US",
    "keyframe": "OT",
    "report": "OT",
}
JSON = "application/dicom+json"
OCTETS = 'multipart/related; type="application/octet-stream"'
AS_STORED = f"{OCTETS}; transfer-syntax=*"
ROWS_OF_WHOLE_BYTES = (17, 16)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """What was sent, and the PACS that holds it."""

    orthanc: Orthanc
    files: Files

    def dataset(self, kind: str) -> Dataset:
        return pydicom.dcmread(self.files[kind])

    def get(self, path: str, accept: str) -> tuple[str, bytes]:
        """The media type and body of an answer."""
        request = urllib.request.Request(
            f"{self.orthanc.url}/dicom-web{path}", headers={"Accept": accept}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.headers["Content-Type"], answer.read()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path, JSON)[1])

    def parts(self, path: str, accept: str) -> list[bytes]:
        """The parts of a multipart answer."""
        kind, body = self.get(path, accept)
        message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
        return [part.get_payload(decode=True) for part in message.get_payload()]

    def picture(self, kind: str, media: str) -> NDArray[np.uint8]:
        got, body = self.get(f"{address(self.dataset(kind))}/rendered", media)
        assert got == media
        return np.asarray(Image.open(io.BytesIO(body)))


def address(dataset: Dataset) -> str:
    """Path of an instance below the DICOMweb root."""
    return (
        f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )


@pytest.fixture(scope="module")
def archive(written: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("archive")
    files = {kind: written[kind] for kind in SENT} | {"seg-small": folder / "small.dcm"}
    sized_seg(*ROWS_OF_WHOLE_BYTES)[0].save_as(files["seg-small"], enforce_file_format=True)
    orthanc = Orthanc(folder / "orthanc", dicomweb=True)
    orthanc.start()
    try:
        store(orthanc, list(files.values()))
        yield Archive(orthanc=orthanc, files=files)
    finally:
        orthanc.stop()


def store(orthanc: Orthanc, paths: list[Path]) -> None:
    """Send with DCMTK; JPEG is proposed too, for the loop."""
    subprocess.run(
        [
            *(program("storescu"), "--required", "--propose-jpeg8", "-aec", AE_TITLE),
            *("127.0.0.1", str(orthanc.dicom_port), *map(str, paths)),
        ],
        check=True,
        timeout=PATIENCE_S,
    )


def test_every_result_is_found_as_a_series_of_its_study(archive: Archive) -> None:
    study = archive.dataset("clip").StudyInstanceUID
    (found,) = archive.json(f"/studies?StudyInstanceUID={study}&PatientID=TEST-1")
    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Änne"}]
    series = {
        item["0020000E"]["Value"][0]: item["00080060"]["Value"][0]
        for item in archive.json(f"/studies/{study}/series")
    }
    for kind, modality in MODALITIES.items():
        assert series[archive.dataset(kind).SeriesInstanceUID] == modality
    for modality in ("SEG", "SR"):
        asked = archive.json(f"/studies/{study}/series?Modality={modality}")
        assert {item["00080060"]["Value"][0] for item in asked} == {modality}


@pytest.mark.parametrize("kind", MODALITIES)
def test_an_instance_is_found_and_described(archive: Archive, kind: str) -> None:
    dataset = archive.dataset(kind)
    path = address(dataset)
    instances = archive.json(path.rpartition("/")[0])
    held = {item["00080018"]["Value"][0]: item["00080016"]["Value"][0] for item in instances}
    assert held[dataset.SOPInstanceUID] == dataset.SOPClassUID
    (metadata,) = archive.json(f"{path}/metadata")
    back = Dataset.from_json(metadata, lambda *_: b"")
    assert back.PatientName == "Müller^Änne"
    for keyword in ("SeriesDescription", "SeriesNumber", "SoftwareVersions", "ContentTime"):
        assert back[keyword].value == dataset[keyword].value
    for keyword in ("SegmentSequence", "ContentSequence", "SourceImageSequence"):
        assert len(back.get(keyword, ())) == len(dataset.get(keyword, ()))


@pytest.mark.parametrize("kind", [*MODALITIES, "refusal"])
def test_an_object_comes_back_unchanged(archive: Archive, kind: str) -> None:
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    (data,) = archive.parts(address(archive.dataset(kind)), accept)
    back, sent = pydicom.dcmread(io.BytesIO(data)), archive.dataset(kind)
    assert back == sent
    assert back.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID


def bits(data: bytes, size: int) -> NDArray[np.uint8]:
    """One-bit pixels, the first one lowest (PS3.5 8.1.1)."""
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[:size]


def test_frames_of_a_seg_are_given_bit_by_bit(archive: Archive) -> None:
    _, masks = sized_seg(*ROWS_OF_WHOLE_BYTES)
    path = address(archive.dataset("seg-small"))
    for number, mask in enumerate(masks, start=1):
        (data,) = archive.parts(f"{path}/frames/{number}", AS_STORED)
        assert np.array_equal(bits(data, mask.size), mask.ravel())


def test_all_bits_of_a_seg_are_given_where_rows_end_within_bytes(archive: Archive) -> None:
    dataset = archive.dataset("seg")
    pixels = dataset.pixel_array
    (data,) = archive.parts(f"{address(dataset)}/bulk/7fe00010", OCTETS)
    assert np.array_equal(bits(data, pixels.size), pixels.ravel())


def test_a_frame_whose_rows_end_within_bytes_is_refused_or_right(archive: Archive) -> None:
    """Orthanc 1.10 splits one-bit pixels only where Columns is a multiple of 8."""
    dataset = archive.dataset("seg")
    frame = dataset.pixel_array[1]
    try:
        (data,) = archive.parts(f"{address(dataset)}/frames/2", AS_STORED)
    except urllib.error.HTTPError as refused:
        status, same = refused.code, True
        refused.close()
    else:
        status, same = 200, np.array_equal(bits(data, frame.size), frame.ravel())
    assert (status, same) in ((200, True), (400, True))


def test_a_frame_of_the_loop_is_given_as_it_was_encoded(archive: Archive) -> None:
    dataset = archive.dataset("overlay")
    (data,) = archive.parts(f"{address(dataset)}/frames/{example.FRAMES}", AS_STORED)
    *_, last = generate_frames(dataset.PixelData, number_of_frames=example.FRAMES)
    assert data == last
    assert imagecodecs.jpeg8_decode(data).shape == (dataset.Rows, dataset.Columns, 3)


@pytest.mark.parametrize("kind", ["keyframe", "report"])
def test_a_picture_is_shown_as_it_was_drawn(archive: Archive, kind: str) -> None:
    drawn = archive.dataset(kind).pixel_array
    assert np.array_equal(archive.picture(kind, "image/png"), drawn)
    off = np.abs(archive.picture(kind, "image/jpeg").astype(int) - drawn)
    assert off.mean() < 2.5


def test_a_frame_of_the_loop_is_shown_in_its_colours(archive: Archive) -> None:
    dataset = archive.dataset("overlay")
    shown = archive.picture("overlay", "image/png")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=example.FRAMES))
    off = np.abs(shown.astype(int) - imagecodecs.jpeg8_decode(frame))
    assert off.mean() < 2.5
