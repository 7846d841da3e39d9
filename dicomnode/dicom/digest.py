"""The bytes of a dataset, told apart by their digest."""

import hashlib
from pathlib import Path

from pydicom.filereader import read_file_meta_info

__all__ = ["dataset_digest"]

_PREAMBLE = 128 + len("DICM")
_GROUP_LENGTH_ELEMENT = 12
"""Bytes of (0002,0000) itself, which its value does not count (PS3.10, 7.1)."""
_BLOCK = 1 << 20


def dataset_digest(path: Path) -> str:
    """SHA-256 of the dataset of a PS3.10 file, without preamble and file meta information.

    The file meta information names who wrote the file, not what was acquired: the same object
    stored by two programs has one digest.
    """
    length = int(read_file_meta_info(path).get("FileMetaInformationGroupLength") or 0)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(_PREAMBLE + _GROUP_LENGTH_ELEMENT + length if length else 0)
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
