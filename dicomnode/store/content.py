"""The content a kept file must still have: dataset by digest, meta information by name."""

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dicomnode.errors import DamagedError, InputError
from dicomnode.store.rows import Instance, Output

__all__ = ["dataset_sha256", "expect_unchanged"]

_CHUNK_BYTES = 1 << 20
_META_BYTES = 1 << 20  # far more than any meta information has
_BEGIN = b"DICM\x02\x00\x00\x00UL\x04\x00"  # PS3.10 7.1, after the preamble
_PREAMBLE_BYTES = 128
_LONG_VRS = (b"OB", b"OW", b"UN", b"UT")  # PS3.5 7.1.2: those that may occur here
_SOP_CLASS = (0x0002, 0x0002)
_SOP_INSTANCE = (0x0002, 0x0003)
_TRANSFER_SYNTAX = (0x0002, 0x0010)
_RESULT_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50")
"""What results are written in: Explicit VR Little Endian and JPEG Baseline."""

_Tag = tuple[int, int]


def dataset_sha256(path: Path) -> str:
    """Hash a DICOM file's dataset (SHA-256, hexadecimal), without its file meta information.

    Raises
    ------
    InputError
        When the file does not begin as a DICOM file.
    """
    with path.open("rb") as file:
        _meta(file, path.name)
        return _digest(file)


def expect_unchanged(path: Path, recorded: Instance | Output) -> None:
    """Read a kept file and compare it with its row.

    Raises
    ------
    DamagedError
        When the file is gone, or is not what was recorded.
    OSError
        When it cannot be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise _missing(recorded) from error
    with file:
        try:
            meta = _elements(_meta(file, path.name))
        except (InputError, struct.error) as error:
            raise _damaged(recorded, "DICOM file meta information", "something else") from error
        found = _digest(file)
    if found != recorded.sha256:
        raise _damaged(recorded, f"a dataset with SHA-256 {recorded.sha256}", found)
    for tag, expected in _named(recorded):
        uid = meta.get(tag, b"").rstrip(b"\0 ").decode("ascii", "replace")
        if uid not in expected:
            raise _damaged(recorded, f"({tag[0]:04x},{tag[1]:04x}) {' or '.join(expected)}", uid)


def _damaged(recorded: Instance | Output, expected: str, found: str) -> DamagedError:
    return DamagedError(
        "file-damaged",
        f"expected {expected} in {recorded.path} of the spool, found {found!r}",
        hint=_hint(recorded),
    )


def _missing(recorded: Instance | Output) -> DamagedError:
    return DamagedError(
        "file-missing",
        f"expected {recorded.path} in the spool, found no such file",
        hint=_hint(recorded),
    )


def _hint(recorded: Instance | Output) -> str:
    if isinstance(recorded, Instance):
        return "send the study again, then `dicomnode exams retry` or `reanalyse` its exam"
    return "`dicomnode exams reanalyse` makes it anew as a further revision"


def _named(recorded: Instance | Output) -> Iterator[tuple[_Tag, tuple[str, ...]]]:
    """Say what the meta information, which no digest covers, must name."""
    yield _SOP_CLASS, (recorded.sop_class_uid,)
    yield _SOP_INSTANCE, (recorded.sop_instance_uid,)
    if isinstance(recorded, Instance):
        yield _TRANSFER_SYNTAX, (recorded.transfer_syntax_uid,)
    else:
        yield _TRANSFER_SYNTAX, _RESULT_SYNTAXES


def _meta(file: BinaryIO, name: str) -> bytes:
    """Read the file meta information (PS3.10 7.1), up to where the dataset begins."""
    start = file.read(_PREAMBLE_BYTES + len(_BEGIN) + 4)
    (length,) = struct.unpack("<L", start[-4:].rjust(4, b"\xff"))
    if start[_PREAMBLE_BYTES:-4] != _BEGIN or length > _META_BYTES:
        raise InputError(
            "not-dicom",
            f"expected a DICOM file that begins with its meta information length "
            f"(0002,0000) in {name}, found something else",
        )
    return file.read(length)


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _elements(block: bytes) -> dict[_Tag, bytes]:
    """Take the meta information apart: Explicit VR Little Endian, whatever follows it."""
    found: dict[_Tag, bytes] = {}
    at = 0
    while at < len(block):
        group, element, vr, length = struct.unpack_from("<HH2sH", block, at)
        at += 8
        if vr in _LONG_VRS:
            (length,) = struct.unpack_from("<L", block, at)
            at += 4
        found[group, element] = block[at : at + length]
        at += length
    return found
