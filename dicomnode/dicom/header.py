"""A file's header, read with patience: odd values are kept and told, never raised."""

import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom import Dataset
from pydicom.charset import python_encoding
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag

from dicomnode.errors import InputError

__all__ = ["Header", "read_header", "tag_text"]

UTF_8 = "ISO_IR 192"


@dataclass(frozen=True, kw_only=True)
class Header:
    """A dataset up to PixelData, where PixelData's element starts, and what was odd.

    ``dataset.file_meta`` holds the transfer syntax. ``inflated`` holds the pixel bytes of a
    deflated file, whose elements have no place in the file.
    """

    path: Path
    dataset: Dataset
    pixel_element: int
    inflated: bytes | None
    warnings: tuple[str, ...]

    @property
    def transfer_syntax(self) -> pydicom.uid.UID:
        """Transfer Syntax UID (0002,0010)."""
        return pydicom.uid.UID(self.dataset.file_meta.TransferSyntaxUID)


def tag_text(keyword: str) -> str:
    """``Keyword (gggg,eeee)``, as error texts name an element."""
    tag = pydicom.tag.Tag(keyword)
    return f"{keyword} ({tag.group:04X},{tag.element:04X})"


def read_header(path: Path) -> Header:
    """Read a DICOM file up to its pixel data.

    Values that cannot be converted and unknown character sets become warnings; text in an unknown
    character set is read byte for byte and carried on as UTF-8 (PS3.3 C.12.1.1.2).
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with path.open("rb") as file:
                dataset, start, inflated = _read(file)
            _check_meta(path, dataset)
            _convert(dataset)
        except InvalidDicomError:
            raise InputError(
                "not-dicom",
                f"{path.name}: expected a DICOM file (PS3.10: 128 bytes, then 'DICM'), found none",
            ) from None
        except (
            BytesLengthException,
            OSError,
            EOFError,
            ValueError,
            TypeError,
            AttributeError,
            KeyError,
            NotImplementedError,
            struct.error,
        ) as error:
            raise InputError(
                "unreadable-header",
                f"{path.name}: expected a readable DICOM header, found {error}",
                hint="the file may be truncated: send it again",
            ) from error
        told = [*_without_values(caught), *_keep_text(dataset)]
    return Header(
        path=path,
        dataset=dataset,
        pixel_element=start,
        inflated=inflated,
        warnings=tuple(dict.fromkeys(f"{path.name}: {text}" for text in told)),
    )


def _read(file: BinaryIO) -> tuple[Dataset, int, bytes | None]:
    dataset = pydicom.dcmread(file, stop_before_pixels=True)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax != pydicom.uid.DeflatedExplicitVRLittleEndian:
        return dataset, file.tell(), None
    file.seek(0)
    dataset = pydicom.dcmread(file)
    pixels = dataset.get("PixelData")
    if pixels is not None:
        del dataset.PixelData
    return dataset, -1, pixels


def _check_meta(path: Path, dataset: Dataset) -> None:
    if "TransferSyntaxUID" not in dataset.file_meta:
        raise InputError(
            "no-transfer-syntax",
            f"{path.name}: expected {tag_text('TransferSyntaxUID')}, found none",
        )


def _convert(dataset: Dataset) -> None:
    """Convert every element now, so that odd values warn here and not somewhere later."""
    for element in _elements(dataset):
        str(element.value)


def _elements(dataset: Dataset) -> Any:
    for tag in list(dataset.keys()):
        element = _element(dataset, tag)
        if element is None:
            continue
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)


def _element(dataset: Dataset, tag: BaseTag) -> Any:
    """The element, or None after leaving out a value that cannot be read at all."""
    try:
        return dataset[tag]
    except (ValueError, TypeError, NotImplementedError, OverflowError, KeyError) as error:
        warnings.warn(f"{tag} is left out: {error}", stacklevel=2)
        del dataset[tag]
        return None


def _without_values(caught: list[warnings.WarningMessage]) -> list[str]:
    """What pydicom warned of; the values it quotes may name a patient."""
    return [re.sub(r"'[^']*'|: [^:]*$", "", str(warning.message)) for warning in caught]


def _keep_text(dataset: Dataset) -> list[str]:
    """Declare text that was read in an unknown character set as UTF-8, and say so."""
    stated = dataset.get("SpecificCharacterSet")
    if stated is None:
        return []
    names = [stated] if isinstance(stated, str) else list(stated)
    if all(name in python_encoding for name in names):
        return []
    dataset.SpecificCharacterSet = UTF_8
    found = ", ".join(map(repr, names))
    tag = tag_text("SpecificCharacterSet")
    return [f"{tag}: expected a defined term (PS3.3 C.12.1.1.2), found {found}; text may be wrong"]
