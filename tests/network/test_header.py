"""Where an instance belongs is read from any bytes, or refused in words that carry none of them."""

import struct
from pathlib import Path

import pytest

from dicomnode.errors import InputError
from dicomnode.network.header import read_header

META = (
    bytes(128) + b"DICM\2\0\0\0UL\4\0" + struct.pack("<I", 28) + b"\2\0\x10\0UI\x14\0"
    b"1.2.840.10008.1.2.1\0"
)
SECRET = b"MUSTER^ERIKA"


def stored(group: int, element: int, vr: bytes, content: bytes, length: int | None = None) -> bytes:
    length = len(content) if length is None else length
    is_long = vr in (b"OB", b"SQ", b"UN")
    head = struct.pack("<HH2s", group, element, vr)
    return head + struct.pack("<HI" if is_long else "<H", *([0] * is_long), length) + content


UIDS = {
    0x00080016: stored(8, 0x16, b"UI", b"1.2.3.4\0"),
    0x00080018: stored(8, 0x18, b"UI", b"1.2.3.5\0"),
    0x0020000D: stored(0x20, 0xD, b"UI", b"1.2.3.6\0"),
    0x0020000E: stored(0x20, 0xE, b"UI", b"1.2.3.7\0"),
}
NESTED = b"".join(
    struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + stored(8, 0x1140, b"SQ", b"", 0xFFFFFFFF)
    for _ in range(3000)
)
BROKEN = {
    "a value longer than the file": {0x00080050: stored(8, 0x50, b"UN", SECRET, 0xFFFFFFF0)},
    "a short value longer than the file": {0x00080050: stored(8, 0x50, b"LO", SECRET, 65000)},
    "a value without an end": {0x00080050: stored(8, 0x50, b"OB", SECRET, 0xFFFFFFFF)},
    "a sequence of bytes": {0x00080050: stored(8, 0x50, b"SQ", SECRET, 0xFFFFFFFF)},
    "sequences 3000 deep": {0x00080050: stored(8, 0x50, b"SQ", NESTED, 0xFFFFFFFF)},
    "a character set that is a number": {0x00080005: stored(8, 5, b"US", b"\1\2\3\4")},
    "a character set of no representation": {0x00080005: stored(8, 5, b"ZZ", SECRET)},
    "a UID of 30,000 parts": {0x0020000D: stored(0x20, 0xD, b"UI", b"1." * 30000)},
    "a UID that is a sequence": {0x0020000D: stored(0x20, 0xD, b"SQ", b"", 0xFFFFFFFF)},
    "a UID that is a path": {0x0020000D: stored(0x20, 0xD, b"UI", b"../../x\0")},
    "no UID": {0x0020000D: b""},
}


def written(directory: Path, changes: dict[int, bytes]) -> Path:
    elements = UIDS | changes
    path = directory / "received.dcm"
    path.write_bytes(META + b"".join(elements[tag] for tag in sorted(elements)))
    return path


def read(path: Path) -> str:
    return read_header(
        path,
        sop_class_uid="1.2.3.4",
        sop_instance_uid="1.2.3.5",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    ).study_uid


def test_the_study_is_read(tmp_path: Path) -> None:
    assert read(written(tmp_path, {})) == "1.2.3.6"


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_read_is_refused_by_element(tmp_path: Path, case: str) -> None:
    with pytest.raises(InputError, match=r"expected .*\(00\d\d,\d\d\d[\dDE]\)") as caught:
        read(written(tmp_path, BROKEN[case]))
    assert SECRET.decode() not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
