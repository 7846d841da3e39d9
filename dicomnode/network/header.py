"""The few elements of a received dataset that say where it belongs."""

import re
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from dicomnode.errors import InputError

__all__ = ["Header", "read_header"]

_SOP_CLASS = Tag(0x0008, 0x0016)
_SOP_INSTANCE = Tag(0x0008, 0x0018)
_STUDY = Tag(0x0020, 0x000D)
_SERIES = Tag(0x0020, 0x000E)

_NAMES = {
    _SOP_CLASS: "SOPClassUID (0008,0016)",
    _SOP_INSTANCE: "SOPInstanceUID (0008,0018)",
    _STUDY: "StudyInstanceUID (0020,000D)",
    _SERIES: "SeriesInstanceUID (0020,000E)",
}

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")  # PS3.5 9.1
_UID_LENGTH = 64


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an instance is and where it belongs. No patient data."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax_uid: str


def read_header(
    path: Path, *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str
) -> Header:
    """Read where a received file belongs, and hold it against what the sender announced.

    Raises
    ------
    InputError
        When the dataset cannot be read up to its SeriesInstanceUID, or is another instance
        than the C-STORE request named.
    """
    dataset = _read(path)
    found = {tag: _uid(dataset, tag) for tag in _NAMES}
    _expect_same(_SOP_CLASS, sop_class_uid, found)
    _expect_same(_SOP_INSTANCE, sop_instance_uid, found)
    return Header(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        study_uid=found[_STUDY],
        series_uid=found[_SERIES],
        transfer_syntax_uid=transfer_syntax_uid,
    )


def _read(path: Path) -> Dataset:
    def past_the_series(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return int(tag) > int(_SERIES)

    try:
        with path.open("rb") as file:
            return read_partial(file, past_the_series, specific_tags=list(_NAMES))
    except MemoryError:
        raise
    except Exception as error:  # foreign bytes in a foreign parser
        raise InputError(
            "unreadable-dataset",
            f"expected a dataset in its transfer syntax up to {_NAMES[_SERIES]}: "
            f"{type(error).__name__}",
        ) from error


def _uid(dataset: Dataset, tag: BaseTag) -> str:
    """Read a UID from its bytes; decoding it as a value would print invalid ones."""
    element = dataset.get_item(tag)
    value = element.value if isinstance(element, RawDataElement) else None
    text = (value or b"").decode("ascii", "replace").strip("\0 ")
    if not text:
        raise InputError("missing-uid", f"expected {_NAMES[tag]} in the dataset, found none")
    if len(text) > _UID_LENGTH or not _UID.fullmatch(text):
        raise InputError(
            "invalid-uid",
            f"expected a UID of digits and dots, at most {_UID_LENGTH} characters, in "
            f"{_NAMES[tag]}, found {text[:_UID_LENGTH]!r}",
        )
    return text


def _expect_same(tag: BaseTag, announced: str, found: dict[BaseTag, str]) -> None:
    if found[tag] != announced:
        raise InputError(
            "other-instance",
            f"expected {_NAMES[tag]} {announced!r} as in the request, found {found[tag]!r}",
        )
