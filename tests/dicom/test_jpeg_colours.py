"""Whether a JPEG holds RGB or YCbCr is told as its own markers tell it, then as the header does."""

import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
import simplejpeg
from pydicom.pixels import pixel_array
from pydicom.uid import JPEGBaseline8Bit
from scipy.ndimage import gaussian_filter

from dicomnode.dicom.decode import frames
from dicomnode.dicom.decode.codestream import segments
from dicomnode.errors import InputError
from parts.codestreams import EXIF, JFIF, adobe, jpeg_of, marked
from parts.programs import program

SMOOTH = gaussian_filter(np.random.default_rng(3).normal(size=(48, 64, 3)), (4, 4, 0))
PICTURE = np.clip([170, 120, 60] + 500 * SMOOTH, 0, 255).astype(np.uint8)
NUMBERED, LETTERS, FROM_ZERO = b"\x01\x02\x03", b"RGB", b"\x00\x01\x02"

YCC, RGB = "YBR_FULL_422", "RGB"
PROFILE = b"\xff\xe2\x00\x10ICC_PROFILE\0\x07\x00"
"""The seventh part of none."""

# What is stored, markers, identifiers, sampling, label; who reads it right beside us.
CASES: dict[str, tuple[str, tuple[bytes, ...], bytes, str, str, tuple[str, ...]]] = {
    "JFIF": (YCC, (JFIF,), NUMBERED, "422", YCC, ("pydicom", "dcmtk", "guess")),
    "JFIF labelled RGB": (YCC, (JFIF,), NUMBERED, "422", RGB, ("pydicom", "guess")),
    "JFIF and a broken profile": (YCC, (JFIF, PROFILE), NUMBERED, "422", YCC, ("pydicom", "dcmtk")),
    "JFIF from zero": (YCC, (JFIF,), FROM_ZERO, "444", RGB, ("pydicom", "guess")),
    "no marker": (YCC, (), NUMBERED, "422", YCC, ("pydicom", "dcmtk", "guess")),
    "no marker labelled RGB, 4:2:2": (YCC, (), NUMBERED, "422", RGB, ("guess",)),
    "no marker labelled RGB, 4:2:0": (YCC, (), NUMBERED, "420", RGB, ("guess",)),
    "no marker, full chroma": (YCC, (), NUMBERED, "444", YCC, ("pydicom", "dcmtk", "guess")),
    "RGB by its label": (RGB, (), NUMBERED, "444", RGB, ("pydicom", "dcmtk")),
    "RGB by its label, from zero": (RGB, (), FROM_ZERO, "444", RGB, ("pydicom", "dcmtk")),
    "letters": (RGB, (), LETTERS, "444", RGB, ("dcmtk", "guess")),
    "letters labelled YBR": (RGB, (), LETTERS, "444", YCC, ("guess",)),
    "small letters labelled YBR": (RGB, (), b"rgb", "444", YCC, ("pydicom",)),
    "Adobe RGB": (RGB, (adobe(0),), NUMBERED, "444", RGB, ("pydicom", "dcmtk", "guess")),
    "Adobe RGB labelled YBR": (RGB, (adobe(0),), NUMBERED, "444", YCC, ("guess",)),
    "Adobe YCbCr labelled RGB": (YCC, (adobe(1),), NUMBERED, "444", RGB, ("pydicom", "guess")),
    "Adobe YCbCr with letters": (YCC, (adobe(1),), LETTERS, "444", YCC, ("guess",)),
    "Exif labelled RGB": (YCC, (EXIF,), NUMBERED, "422", RGB, ("guess",)),
    "JFIF and Adobe RGB": (RGB, (JFIF, adobe(0)), NUMBERED, "444", RGB, ()),
    "4:4:0 labelled RGB": (YCC, (), NUMBERED, "440", RGB, ()),
    "4:1:1 labelled RGB": (YCC, (), NUMBERED, "411", RGB, ("guess",)),
}


def stream(stored: str, markers: tuple[bytes, ...], ids: bytes, sampling: str, late: bool) -> bytes:
    """The picture's JPEG. RGB is stored by encoding what, taken for YCbCr, has these components."""
    if stored == YCC:
        return marked(jpeg_of(PICTURE, sampling), *markers, ids=ids, late=late)
    planes = (np.ascontiguousarray(PICTURE[..., channel]) for channel in range(3))
    return marked(simplejpeg.encode_jpeg_yuv_planes(*planes, 95), *markers, ids=ids, late=late)


def by_pydicom(path: Path) -> np.ndarray:
    return pixel_array(path, decoding_plugin="pillow")


def by_dcmtk(path: Path, *options: str) -> np.ndarray:
    plain = path.with_suffix(".plain.dcm")
    command = [program("dcmdjpeg"), *options, str(path), str(plain)]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    dataset = pydicom.dcmread(plain)
    dataset.PhotometricInterpretation = "RGB"  # as it would be shown; the guess leaves the label
    return pixel_array(dataset)


ORACLES = {
    "pydicom": by_pydicom,
    "dcmtk": by_dcmtk,
    "guess": lambda path: by_dcmtk(path, "+cg"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("late", [False, True], ids=["first", "before the scan"])
@pytest.mark.parametrize("name", CASES)
def test_the_colours_are_those_that_were_stored(
    tmp_path: Path, wrap: ModuleType, name: str, late: bool
) -> None:
    stored, markers, ids, sampling, label, right = CASES[name]
    if late and not markers:
        pytest.skip("no marker to move")
    data = stream(stored, markers, ids, sampling, late)
    path = wrap.encapsulated(tmp_path / "a.dcm", [data], PICTURE[None], label, JPEGBaseline8Bit)
    (found,) = frames(path)
    assert np.abs(found.astype(int) - PICTURE).mean() < 6
    (luma,) = frames(path, colour="luma")
    assert np.abs(luma - PICTURE @ np.array([0.299, 0.587, 0.114])).mean() < 4
    for oracle in right if not late else ():
        assert np.abs(found.astype(int) - ORACLES[oracle](path)).mean() < 0.6, oracle


def test_a_scan_is_found_whatever_the_segments_before_it_hold() -> None:
    """A restart interval of 4 has the bytes of its own segment's length."""
    jpeg = jpeg_of(PICTURE, "444")
    scan = jpeg.index(b"\xff\xda")
    interval = bytes.fromhex("ffdd00040004")
    parts, found = segments(jpeg[:scan] + interval + jpeg[scan:])
    assert parts[-1] == (0xDD, b"\0\x04")
    assert found == scan + len(interval)


def test_a_marker_of_four_colours_beside_three_is_refused(tmp_path: Path, wrap: ModuleType) -> None:
    jpeg = stream(YCC, (adobe(2),), NUMBERED, "422", late=False)
    path = wrap.encapsulated(tmp_path / "a.dcm", [jpeg], PICTURE[None], YCC, JPEGBaseline8Bit)
    with pytest.raises(InputError, match=r"\(7FE0,0010\).* Adobe's transform 2"):
        list(frames(path))


@pytest.mark.parametrize(("markers", "ids"), [((adobe(0),), NUMBERED), ((), LETTERS)])
def test_rgb_with_subsampled_chroma_is_refused(
    tmp_path: Path, wrap: ModuleType, markers: tuple[bytes, ...], ids: bytes
) -> None:
    jpeg = stream(YCC, markers, ids, "422", late=False)
    path = wrap.encapsulated(tmp_path / "a.dcm", [jpeg], PICTURE[None], YCC, JPEGBaseline8Bit)
    with pytest.raises(InputError, match="marked as RGB, with subsampled chroma"):
        list(frames(path))
