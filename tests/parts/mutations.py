"""What goes wrong with one element of a header: dropped, emptied, doubled, of another kind.

Files are put together byte by byte here: pydicom would not write most of this.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.filewriter import dcmwrite
from pydicom.tag import BaseTag

__all__ = ["MUTATIONS", "Mutation", "Place", "data_set", "places"]

Stored = tuple[str, bytes]
"""VR and value of an element as it lies in a file."""
Mutation = Callable[[str, bytes], Stored | None]
"""Another VR and value for an element; None takes it out."""
Place = tuple[tuple[BaseTag, int] | BaseTag, ...]
"""Sequences and items, each within the one before, then the element."""

LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
"""Their length has four bytes (PS3.5 7.1.2)."""
BINARY = ("AT", "FD", "FL", "OB", "OW", "SL", "SS", "UL", "UN", "US")
ITEM, ITEM_END, SEQUENCE_END = (
    struct.pack("<HHI", 0xFFFE, element, length)
    for element, length in ((0xE000, 0xFFFFFFFF), (0xE00D, 0), (0xE0DD, 0))
)
A_SEQUENCE = ITEM + struct.pack("<HH2sH", 0x0010, 0x4000, b"LT", 4) + b"word" + ITEM_END


def _drop(vr: str, content: bytes) -> None:
    return None


def _double(vr: str, content: bytes) -> Stored:
    between = b"" if vr in BINARY or vr == "SQ" or not content else b"\\"
    return vr, content + between + content


def _as(vr: str, content: bytes) -> Mutation:
    return lambda _vr, _content: (vr, content)


def _value(content: bytes) -> Mutation:
    return lambda vr, _content: (vr, content)


MUTATIONS: Mapping[str, Mutation] = {
    "dropped": _drop,
    "emptied": _value(b""),
    "blank": _value(b"    "),
    "doubled": _double,
    "zero": _value(bytes(8)),
    "all ones": _value(b"\xff" * 8),
    "three numbers": _as("US", b"\1\2\3\4\5\6"),
    "half a number": _as("US", b"\1"),
    "not a number": _value(b"nan "),
    "infinite": _value(b"1e999 "),
    "negative": _value(b"-3"),
    "digits of another alphabet": _value(b"1\xf3"),
    "words": _value(b"MUSTER^ERIKA"),
    "two words": _value(b"A\\B "),
    "control characters": _value(b"\x1b\x07\r\n"),
    "not in the character set": _value(b"\xff\xfe\xc3\x28"),
    "a long value": _value(b"9" * 4000),
    "a sequence": _as("SQ", A_SEQUENCE),
    "an empty sequence": _as("SQ", b""),
    "bytes": _as("OB", b"\xff\xfe\x00\x01"),
    "as text": _as("LO", b"660 "),
    "as a name": _as("PN", b"MUSTER^ERIKA"),
    "as a number": _as("FD", b"\0\0\0\0\0\0\xf8\x7f"),
    "as a tag": _as("AT", b"\x18\0\x63\x10"),
    "of unknown representation": _as("UN", b"\x01\x02\x03\x04"),
    "of no representation": _as("ZZ", b"\x01\x02\x03\x04"),
}


def places(dataset: Dataset, *above: tuple[BaseTag, int]) -> Iterator[Place]:
    """Where all elements are, those in sequences too."""
    for element in dataset:
        yield (*above, element.tag)
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from places(item, *above, (element.tag, number))


def data_set(dataset: Dataset, changes: Mapping[Place, Mutation], *above: object) -> bytes:
    """A data set in explicit VR little endian, with other values at some places."""
    return b"".join(_element(element, changes, above) for element in dataset)


def _element(
    element: DataElement, changes: Mapping[Place, Mutation], above: tuple[object, ...]
) -> bytes:
    if element.VR == "SQ":
        items = [
            ITEM + data_set(item, changes, *above, (element.tag, number)) + ITEM_END
            for number, item in enumerate(element.value)
        ]
        stored: Stored = "SQ", b"".join(items)
    else:
        stored = element.VR, _content(element)
    changed = changes.get((*above, element.tag), lambda *stored: stored)(*stored)
    return b"" if changed is None else _written(element.tag, *changed)


def _written(tag: BaseTag, vr: str, content: bytes) -> bytes:
    start = struct.pack("<HH2s", tag.group, tag.element, vr.encode())
    if vr == "SQ":
        return start + b"\0\0\xff\xff\xff\xff" + content + SEQUENCE_END
    content += b"\0" * (len(content) % 2)
    length = struct.pack("<HI" if vr in LONG else "<H", *([0] * (vr in LONG)), len(content))
    return start + length + content


def _content(element: DataElement) -> bytes:
    alone = Dataset()
    alone[element.tag] = element
    file = BytesIO()
    dcmwrite(file, alone, implicit_vr=True, little_endian=True)
    return file.getvalue()[8:]
