"""A file's header, read with patience: odd values are kept and told, never raised."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from warnings import WarningMessage

import pydicom
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag

from dicomnode.dicom.character_sets import (
    TEXT,
    Misread,
    declare_text,
    is_beyond,
    read_byte_for_byte,
)
from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.dicom.file_meta import check_encoding, transfer_syntax
from dicomnode.errors import InputError

__all__ = ["Header", "read_header"]

UNDEFINED_LENGTH = 0xFFFFFFFF
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
"""PixelData, as floats and doubles too."""
REPLACING = "using replacement characters"
QUOTED = r"""'[^']*'|"[^"]*"|: [^:]*$"""
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

    Values that cannot be converted, unknown character sets and text that is not in its character
    set become warnings; such text is read byte for byte and never replaced.

    Raises
    ------
    InputError
        Whatever is wrong with the file: a header is read by foreign code from foreign bytes.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        progress = _Progress()
        try:
            with path.open("rb") as file:
                check_encoding(file, path.name)
                dataset, start, inflated = _read(file, path.name, progress)
            misread = list(_convert(progress, dataset, dataset, caught))
            kept = list(declare_text(dataset, misread, path.name))
        except InvalidDicomError:
            raise InputError(
                "not-dicom",
                f"{path.name}: expected a DICOM file (PS3.10: 128 bytes, then 'DICM'), found none",
            ) from None
        except (InputError, MemoryError):
            raise
        except RecursionError:
            raise InputError(
                "unreadable-header",
                f"{path.name}: {progress}expected sequences at most {DEEPEST} deep, found some "
                "that are deeper",
            ) from None
        except Exception as error:
            raise InputError(
                "unreadable-header",
                f"{path.name}: {progress}expected a readable DICOM header, found {_cause(error)}",
                hint="the file may be truncated: send it again",
            ) from error
        told = [*_without_values(caught), *kept]
    return Header(
        path=path,
        dataset=dataset,
        pixel_element=start,
        inflated=inflated,
        warnings=tuple(dict.fromkeys(f"{path.name}: {text}" for text in told)),
    )


class _Progress:
    """The element that is being read: the one at fault where reading ends."""

    def __init__(self) -> None:
        self.tag: BaseTag | None = None

    def __call__(self, tag: BaseTag, _vr: str | None, _length: int) -> bool:
        self.tag = tag
        return tag in PIXELS

    def __str__(self) -> str:
        if self.tag is None:
            return f"{tag_text('TransferSyntaxUID')}: "  # nothing could be read as it says
        keyword = keyword_for_tag(self.tag)
        return f"{tag_text(keyword) if keyword else self.tag}: "


def _read(file: BinaryIO, name: str, progress: _Progress) -> tuple[Dataset, int, bytes | None]:
    file.seek(0)
    dataset = read_partial(file, progress)
    _check_whole(dataset, name, progress)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax != pydicom.uid.DeflatedExplicitVRLittleEndian:
        return dataset, file.tell(), None
    file.seek(0)
    dataset = pydicom.dcmread(file)
    pixels = dataset.get("PixelData")
    if pixels is not None:
        del dataset.PixelData
    return dataset, -1, pixels


def _check_whole(dataset: Dataset, name: str, progress: _Progress) -> None:
    """See that the last element has all bytes of its value: its reader takes what there is."""
    if progress.tag is None or progress.tag not in dataset:
        return
    last: object = dataset.get_item(progress.tag)
    if not isinstance(last, RawDataElement):
        return
    found = len(last.value or b"")
    if found < last.length < UNDEFINED_LENGTH:
        raise InputError(
            "truncated",
            f"{name}: {progress}expected {last.length} bytes, found {found} until the end of the "
            "file",
            hint="send the object again",
        )


def _cause(error: Exception) -> str:
    """What the system says of a file, or the kind of the error: its text may quote the file."""
    said = error.strerror if isinstance(error, OSError) else None
    kind = type(error)
    return said or f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def _convert(
    progress: _Progress,
    dataset: Dataset,
    owner: Dataset,
    caught: list[WarningMessage],
    depth: int = 0,
) -> Iterator[Misread]:
    """Convert every element now, so that odd values are told here and not somewhere later.

    Text that is not in the character set of ``owner`` is read byte for byte, and yielded.
    """
    if depth > DEEPEST:
        raise RecursionError
    for tag in list(dataset.keys()):
        if depth == 0:
            progress.tag = tag
        raw = dataset.get_item(tag)
        content = (raw.value if isinstance(raw, RawDataElement) else None) or b""
        before = len(caught)
        element = _element(dataset, tag, content)
        if element.VR == "SQ":
            for item in element.value:
                holds = item if "SpecificCharacterSet" in item else owner
                yield from _convert(progress, item, holds, caught, depth + 1)
            continue
        str(element.value)
        lost = any(REPLACING in str(warning.message) for warning in caught[before:])
        if element.VR in TEXT and (lost or is_beyond(owner, content)):
            read_byte_for_byte(element, content)
            yield owner, element


def _element(dataset: Dataset, tag: BaseTag, content: bytes) -> DataElement:
    """The element; one whose value cannot be read at all keeps its bytes, as of VR OB."""
    try:
        return dataset[tag]
    except (InputError, MemoryError, RecursionError):
        raise
    except Exception as error:
        warnings.warn(f"{tag} cannot be read: {_cause(error)}", stacklevel=2)
        dataset[tag] = DataElement(tag, "OB", content)
        return dataset[tag]


def _without_values(caught: list[WarningMessage]) -> list[str]:
    """What pydicom warned of; the values it quotes may name a patient, replacements are undone."""
    texts = [str(warning.message) for warning in caught]
    return [re.sub(QUOTED, "", text) for text in texts if REPLACING not in text]
