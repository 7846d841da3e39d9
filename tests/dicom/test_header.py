"""A file may be torn anywhere: it is read or refused by name, and nothing else."""

import re
import struct
from pathlib import Path
from types import ModuleType

import numpy as np

from dicomnode.dicom.header import read_header
from dicomnode.errors import InputError


def test_a_file_torn_at_any_byte_is_read_or_refused(wrap: ModuleType, tmp_path: Path) -> None:
    regions = [wrap.region(0, 0, 4, 6, 0.01)]
    whole = wrap.native(
        tmp_path / "whole.dcm",
        np.zeros((2, 4, 6, 3), np.uint8),
        SequenceOfUltrasoundRegions=regions,
    ).read_bytes()
    torn = tmp_path / "torn.dcm"
    said = [complaint(torn, whole[:length]) for length in range(len(whole))]
    named = re.compile(r"torn\.dcm: (\w+ \(\w{4},\w{4}\): )?expected .*found ")
    assert all(text is None or named.match(text) for text in said)
    assert all(said[:132])
    assert said[-1] is None


def test_a_refused_header_names_the_element_at_fault(wrap: ModuleType, tmp_path: Path) -> None:
    whole = wrap.native(tmp_path / "whole.dcm", np.zeros((2, 4, 6, 3), np.uint8)).read_bytes()
    start = 144 + struct.unpack("<L", whole[140:144])[0]
    opened = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    nested = (opened + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 1000
    said = complaint(tmp_path / "deep.dcm", whole[:start] + nested + whole[start:])
    assert said is not None
    assert said.startswith("deep.dcm: ReferencedImageSequence (0008,1140): expected sequences at")


def complaint(path: Path, content: bytes) -> str | None:
    """What is said of a file with this content; None where its header is read."""
    path.write_bytes(content)
    try:
        read_header(path)
    except InputError as error:
        return str(error)
    return None
