"""A file's header, read with patience: odd values are kept and told, never raised."""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import Dataset
from pydicom.charset import python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.tag import BaseTag

from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.dicom.file_meta import check_encoding, transfer_syntax
from dicomnode.errors import InputError

__all__ = ["Header", "read_header"]

UTF_8 = "ISO_IR 192"
DEEPEST = 32
"""Sequences within sequences; no object of the standard comes near."""


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
        return transfer_syntax(self.meta)

    @property
    def meta(self) -> Elements:
        """The file meta information, for reading one element after the other."""
        return Elements(dataset=self.dataset.file_meta, file=self.path.name)

    @property
    def elements(self) -> Elements:
        """The dataset, for reading one element after the other."""
        return Elements(dataset=self.dataset, file=self.path.name)


def read_header(path: Path) -> Header:
    """Read a DICOM file up to its pixel data.

    Values that cannot be converted and unknown character sets become warnings; text in an unknown
    character set is read byte for byte and carried on as UTF-8 (PS3.3 C.12.1.1.2).
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with path.open("rb") as file:
                check_encoding(file, path.name)
                dataset, start, inflated = _read(file)
            _convert(path, dataset)
        except InvalidDicomError:
            raise InputError(
                "not-dicom",
                f"{path.name}: expected a DICOM file (PS3.10: 128 bytes, then 'DICM'), found none",
            ) from None
        except (InputError, MemoryError):
            raise
        except RecursionError:
            raise _too_deep(path) from None
        except Exception as error:
            raise InputError(
                "unreadable-header",
                f"{path.name}: expected a readable DICOM header, found {_cause(error)}",
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
    file.seek(0)
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


def _too_deep(path: Path) -> InputError:
    return InputError(
        "unreadable-header",
        f"{path.name}: expected sequences at most {DEEPEST} deep, found some that are deeper",
    )


def _cause(error: Exception) -> str:
    """What the system says of a file, or the kind of the error: its text may quote the file."""
    said = error.strerror if isinstance(error, OSError) else None
    return said or type(error).__name__


def _convert(path: Path, dataset: Dataset, depth: int = 0) -> None:
    """Convert every element now, so that odd values warn here and not somewhere later."""
    if depth > DEEPEST:
        raise _too_deep(path)
    for tag in list(dataset.keys()):
        element = _element(dataset, tag)
        str(element.value)
        if element.VR == "SQ":
            for item in element.value:
                _convert(path, item, depth + 1)


def _element(dataset: Dataset, tag: BaseTag) -> DataElement:
    """The element; one whose value cannot be read at all keeps its bytes, as of VR OB."""
    raw = dataset.get_item(tag)
    try:
        return dataset[tag]
    except (InputError, MemoryError, RecursionError):
        raise
    except Exception as error:
        warnings.warn(f"{tag} cannot be read: {_cause(error)}", stacklevel=2)
        value = raw.value if isinstance(raw, RawDataElement) else None
        dataset[tag] = DataElement(tag, "OB", value or b"")
        return dataset[tag]


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
