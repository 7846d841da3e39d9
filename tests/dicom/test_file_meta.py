"""A file whose meta information is not true of its data set is refused as that, by name."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicomnode.dicom.decode import frames
from dicomnode.dicom.exam import ReadSettings, read_study
from dicomnode.errors import InputError

COLOUR = np.random.default_rng(5).integers(0, 256, (12, 32, 40, 3), np.uint8)
SYNTAX = r"^a\.dcm: TransferSyntaxUID \(0002,0010\): expected "
Write = Callable[[UID, UID], Path]


@pytest.fixture
def write(tmp_path: Path, wrap: ModuleType) -> Write:
    """Write a clip in one transfer syntax and state another."""

    def written(syntax: UID, stated: UID) -> Path:
        path = tmp_path / "a.dcm"
        if syntax.is_encapsulated:
            streams = [imagecodecs.jpeg8_encode(frame) for frame in COLOUR]
            wrap.encapsulated(path, streams, COLOUR, "YBR_FULL_422", syntax)
        else:
            wrap.native(path, COLOUR, syntax=syntax)
        content = path.read_bytes()
        told, uid = (each.encode() + b"\0" * (len(each) % 2) for each in (syntax, stated))
        at = content.index(b"\x02\0\x10\0UI")
        size = int.from_bytes(content[at + 6 : at + 8], "little")
        assert content[at + 8 : at + 8 + size] == told
        length = int.from_bytes(content[140:144], "little") + len(uid) - size
        changed = content[: at + 6] + len(uid).to_bytes(2, "little") + uid
        changed += content[at + 8 + size :]
        path.write_bytes(changed[:140] + length.to_bytes(4, "little") + changed[144:])
        return path

    return written


CONTRADICTIONS = {
    "implicit, said to be explicit": (ImplicitVRLittleEndian, ExplicitVRLittleEndian, "implicit"),
    "explicit, said to be implicit": (ExplicitVRLittleEndian, ImplicitVRLittleEndian, "explicit"),
    "big, said to be little": (ExplicitVRBigEndian, ExplicitVRLittleEndian, "big endian"),
    "little, said to be big": (ExplicitVRLittleEndian, ExplicitVRBigEndian, "little endian"),
    "implicit, said to be JPEG": (ImplicitVRLittleEndian, JPEGBaseline8Bit, "implicit"),
    "native, said to be JPEG": (ExplicitVRLittleEndian, JPEGBaseline8Bit, "without fragments"),
    "native, said to be RLE": (ExplicitVRLittleEndian, RLELossless, "without fragments"),
    "JPEG, said to be native": (JPEGBaseline8Bit, ExplicitVRLittleEndian, "fragments of compress"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_data_set_in_another_syntax_is_refused_by_the_syntax(write: Write, case: str) -> None:
    syntax, stated, words = CONTRADICTIONS[case]
    with pytest.raises(InputError, match=SYNTAX) as caught:
        list(frames(write(syntax, stated)))
    assert caught.value.code == "contradictory-file-meta"
    assert words in str(caught.value)
    assert stated.name in str(caught.value)


def test_fragments_in_a_value_of_defined_length_are_no_native_pixels(
    tmp_path: Path, wrap: ModuleType
) -> None:
    streams = b"".join(imagecodecs.jpeg8_encode(frame) for frame in COLOUR)
    item = b"\xfe\xff\x00\xe0" + len(streams).to_bytes(4, "little") + streams
    path = wrap.native(tmp_path / "a.dcm", COLOUR, PixelData=item + b"\0" * (len(item) % 2))
    with pytest.raises(InputError, match=SYNTAX):
        list(frames(path))


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        ("1.2.840.10008.1.2.4.9999", "unsupported-transfer-syntax"),
        ("1.2.840.113619.5.2", "unsupported-transfer-syntax"),
        ("abc", "unsupported-transfer-syntax"),
        ("1.2 .3", "bad-element"),
        ("1.2.840.10008.1.2.1\\1.2.840.10008.1.2", "bad-element"),
        ("", "no-transfer-syntax"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_no_transfer_syntax_is_refused(write: Write, stated: str, code: str) -> None:
    path = write(ExplicitVRLittleEndian, UID(stated, validation_mode=0))
    (left,) = read_study([path], ReadSettings()).left_out
    assert left.reason.code == code
    assert left.reason.text.startswith("a.dcm: TransferSyntaxUID (0002,0010): expected ")


def uncounted(dataset: Dataset) -> None:
    del dataset.NumberOfFrames


def empty(dataset: Dataset) -> None:
    dataset.NumberOfFrames = None


def one(dataset: Dataset) -> None:
    dataset.NumberOfFrames = 1


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit])
@pytest.mark.parametrize("change", [uncounted, empty, one])
def test_frames_that_nobody_counted_are_no_still(
    write: Write, syntax: UID, change: Callable[[Dataset], None]
) -> None:
    path = write(syntax, syntax)
    dataset = dcmread(path)
    change(dataset)
    dcmwrite(path, dataset)
    (left,) = read_study([path], ReadSettings()).left_out
    found = "1" if change is one else "none"
    assert left.reason.code == "wrong-number-of-frames"
    assert left.reason.text == (
        "a.dcm: NumberOfFrames (0028,0008): expected 12, as many as frames in "
        f"PixelData (7FE0,0010), found {found}"
    )
