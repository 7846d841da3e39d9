"""The overlay without compression: the same instance, what its JPEG decodes to, streamed, valid."""

import io
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from scipy.ndimage import gaussian_filter

from dicomnode.dicom.decode import frames
from dicomnode.dicom.results.overlay import Planes, write_frames
from dicomnode.dicom.results.uncompressed import write_uncompressed
from dicomnode.errors import InputError, OutputError
from parts.planes import as_planes
from parts.programs import program
from parts.waiting import PATIENCE_S

Judge = Callable[[str, Dataset | Path], list[str]]

NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
OF_PIXELS = ("PixelData", "PhotometricInterpretation", "PlanarConfiguration")


def rewritten(source: Path, target: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    with target.open("wb") as file:
        write_uncompressed(source, file, syntax)
    return target


def loop(example: ModuleType, path: Path, shape: tuple[int, int], count: int) -> Path:
    """An overlay of this shape and length, of blobs in colour."""
    exam = example.exam()
    clip = replace(exam.clips[0], frame_times_s=np.arange(count) / 10)
    rng = np.random.default_rng(2)

    def pictures() -> Iterator[Planes]:
        blobs = gaussian_filter(rng.normal(size=(*shape, 3)), (3, 3, 0))
        picture = np.clip(128 + 400 * blobs, 0, 255).astype(np.uint8)
        yield from (as_planes(np.roll(picture, number, axis=1)) for number in range(count))

    write_frames(path, replace(exam, clips=(clip,)), example.context(), pictures())
    return path


@pytest.fixture(scope="module")
def overlay(example: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("overlay") / "overlay.dcm"
    return loop(example, path, (example.ROWS, example.COLUMNS), 12)


@pytest.mark.parametrize("syntax", NATIVE)
def test_pixels_are_what_the_jpeg_decodes_to_and_all_else_is_kept(
    overlay: Path, tmp_path: Path, syntax: str
) -> None:
    original = dcmread(overlay)
    plain = dcmread(rewritten(overlay, tmp_path / "plain.dcm", syntax))
    assert plain.file_meta.TransferSyntaxUID == syntax
    assert (plain.PhotometricInterpretation, plain.PlanarConfiguration) == ("RGB", 0)
    np.testing.assert_array_equal(plain.pixel_array, np.stack([*frames(overlay)]))
    for ds in (original, plain):
        for keyword in OF_PIXELS:
            del ds[keyword]
        del ds.file_meta.TransferSyntaxUID, ds.file_meta.FileMetaInformationGroupLength
    assert plain == original
    assert plain.file_meta == original.file_meta
    assert plain.LossyImageCompression == "01"
    assert plain.LossyImageCompressionRatio > 1
    assert plain.LossyImageCompressionMethod == "ISO_10918_1"


def test_dcmtk_decodes_the_jpeg_to_the_same_pixels(overlay: Path, tmp_path: Path) -> None:
    dcmtk = tmp_path / "dcmtk.dcm"
    subprocess.run([program("dcmdjpeg"), str(overlay), str(dcmtk)], check=True, timeout=PATIENCE_S)
    theirs, ours = (dcmread(path) for path in (dcmtk, rewritten(overlay, tmp_path / "plain.dcm")))
    assert theirs.PhotometricInterpretation == "RGB"
    assert theirs.file_meta.TransferSyntaxUID == ours.file_meta.TransferSyntaxUID
    off = np.abs(theirs.pixel_array.astype(int) - ours.pixel_array)
    assert off.max() <= 2


@pytest.mark.parametrize("syntax", NATIVE)
def test_the_validator_is_content(
    overlay: Path, tmp_path: Path, judged: Judge, syntax: str
) -> None:
    assert judged("dciodvfy", rewritten(overlay, tmp_path / "plain.dcm", syntax)) == []


def test_the_same_file_gives_the_same_bytes(overlay: Path, tmp_path: Path) -> None:
    one, two = (rewritten(overlay, tmp_path / name) for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_an_odd_number_of_bytes_is_padded(example: ModuleType, tmp_path: Path) -> None:
    source = loop(example, tmp_path / "overlay.dcm", (9, 7), 3)
    plain = rewritten(source, tmp_path / "plain.dcm")
    assert len(dcmread(plain).PixelData) == 3 * 9 * 7 * 3 + 1
    done = subprocess.run([program("dcmdump"), str(plain)], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_loop_is_never_in_memory(example: ModuleType, tmp_path: Path) -> None:
    source = loop(example, tmp_path / "overlay.dcm", (424, 640), 60)
    rewritten(source, tmp_path / "warm.dcm")
    tracemalloc.start()
    try:
        plain = rewritten(source, tmp_path / "plain.dcm")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    frame = 424 * 640 * 3
    assert plain.stat().st_size > 60 * frame
    assert peak < 6 * frame


def test_what_is_not_colour_is_refused_and_nothing_is_written(
    overlay: Path, tmp_path: Path
) -> None:
    ds = dcmread(overlay)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.save_as(tmp_path / "grey.dcm")
    target = io.BytesIO()
    with pytest.raises(OutputError, match=r"grey\.dcm: expected 3 samples of 8 bits"):
        write_uncompressed(tmp_path / "grey.dcm", target, ExplicitVRLittleEndian)
    assert target.getvalue() == b""


def test_what_is_longer_than_a_value_can_be_is_refused(overlay: Path, tmp_path: Path) -> None:
    ds = dcmread(overlay)
    ds.NumberOfFrames = 20_000
    ds.save_as(tmp_path / "long.dcm")
    with pytest.raises(OutputError, match=r"long\.dcm: expected at most 4294967294 bytes"):
        write_uncompressed(tmp_path / "long.dcm", io.BytesIO(), ExplicitVRLittleEndian)


def test_a_torn_source_is_refused(overlay: Path, tmp_path: Path) -> None:
    data = overlay.read_bytes()
    (tmp_path / "torn.dcm").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"torn\.dcm.*end of the file"):
        write_uncompressed(tmp_path / "torn.dcm", io.BytesIO(), ExplicitVRLittleEndian)
