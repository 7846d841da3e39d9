"""File meta information: which transfer syntax a file states, and whether its data set is in it."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.config import IGNORE
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, AllTransferSyntaxes, DeflatedExplicitVRLittleEndian

from dicomnode.dicom.elements import Elements

__all__ = ["check_encoding", "transfer_syntax"]

LENGTH = "FileMetaInformationGroupLength"
SYNTAX = "TransferSyntaxUID"
AFTER_LENGTH = 144
"""Preamble, prefix and the group length element itself (PS3.10 7.1)."""
FIRST_GROUP = 0x0008
"""Of every data set of the standard's; file meta itself is little endian, group 2."""


@dataclass(frozen=True)
class Encoding:
    """How the elements of a data set are written."""

    is_little_endian: bool
    is_implicit_vr: bool

    def __str__(self) -> str:
        vr = "implicit" if self.is_implicit_vr else "explicit"
        return f"{vr} VR {'little' if self.is_little_endian else 'big'} endian"


def transfer_syntax(meta: Elements) -> UID:
    """Transfer Syntax UID (0002,0010), one that the standard defines."""
    if not meta.states(SYNTAX):
        raise meta.wrong(SYNTAX, "a UID", "none", "no-transfer-syntax")
    stated = UID(meta.uid(SYNTAX), IGNORE)
    if stated not in AllTransferSyntaxes:
        expected = "a transfer syntax of the standard"
        raise meta.wrong(SYNTAX, expected, f"{str(stated)[:64]!r}", "unsupported-transfer-syntax")
    return stated


def check_encoding(file: BinaryIO, name: str) -> None:
    """Hold the beginning of the data set against the transfer syntax, where both can be told.

    Raises
    ------
    InputError
        If no transfer syntax is stated, or the data set is in another.
    """
    meta = Elements(dataset=read_file_meta_info(file.name), file=name)
    stated = transfer_syntax(meta)
    if stated == DeflatedExplicitVRLittleEndian or not meta.states(
        "FileMetaInformationGroupLength"
    ):
        return
    file.seek(AFTER_LENGTH + meta.whole("FileMetaInformationGroupLength", 0, 1 << 32))
    found = _encoding(file.read(6))
    expected = Encoding(stated.is_little_endian, stated.is_implicit_VR)
    if found is not None and found != expected:
        raise meta.wrong(
            SYNTAX,
            f"the encoding of the data set, {found}",
            f"{stated.name}, {expected}",
            "contradictory-file-meta",
        )


def _encoding(first: bytes) -> Encoding | None:
    """What a first element shows; None where it is not one of the usual."""
    for order in "<>":
        if len(first) == 6 and struct.unpack(f"{order}H", first[:2])[0] == FIRST_GROUP:
            is_explicit = first[4:6].isalpha() and first[4:6].isupper()
            return Encoding(order == "<", not is_explicit)
    return None
