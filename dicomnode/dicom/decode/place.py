"""The place of PixelData's value in a file, and whether it is what the file meta says."""

import struct
from dataclasses import dataclass

import numpy as np

from dicomnode.dicom.header import Header
from dicomnode.errors import InputError

__all__ = ["PIXEL_DATA", "Place", "find_pixels"]

PIXEL_DATA = "PixelData (7FE0,0010)"
UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM = b"\xfe\xff\x00\xe0"


@dataclass(frozen=True, kw_only=True)
class Place:
    """The value of PixelData: all bytes of the file, its first one, its length and its VR."""

    data: memoryview
    start: int
    length: int
    vr: str

    @property
    def native(self) -> memoryview:
        """The value where it is not encapsulated."""
        return self.data[self.start : self.start + self.length]


def find_pixels(header: Header) -> Place:
    """Find the value of PixelData.

    Raises
    ------
    InputError
        If there is none, it is cut off, or it is not encoded as the transfer syntax says.
    """
    if header.inflated is not None:
        value = memoryview(header.inflated)
        return Place(data=value, start=0, length=len(value), vr="OW")
    data = np.memmap(header.path, np.uint8, "r").data
    place = _after_element(header, data)
    if header.transfer_syntax.is_encapsulated:
        _check_encapsulated(header, place)
    else:
        _check_native(header, place)
    return place


def _after_element(header: Header, data: memoryview) -> Place:
    at = header.pixel_element
    syntax = header.transfer_syntax
    element = bytes(data[at : at + 12])
    order = "<" if syntax.is_little_endian else ">"
    if len(element) < 12 or struct.unpack(f"{order}HH", element[:4]) != (0x7FE0, 0x0010):
        raise InputError(
            "no-pixel-data", f"{header.path.name}: {PIXEL_DATA}: expected pixels, found none"
        )
    if syntax.is_implicit_VR:
        length = struct.unpack(f"{order}I", element[4:8])[0]
        return Place(data=data, start=at + 8, length=length, vr="OW")
    vr = element[4:6].decode("latin-1")
    if vr not in ("OB", "OW", "UN"):
        raise InputError(
            "corrupt-pixel-data",
            f"{header.path.name}: {PIXEL_DATA}: expected VR OB or OW, found {vr!r}",
        )
    length = struct.unpack(f"{order}I", element[8:12])[0]
    return Place(data=data, start=at + 12, length=length, vr=vr)


def _check_native(header: Header, place: Place) -> None:
    if place.length == UNDEFINED_LENGTH or place.native[: len(ITEM)] == ITEM:
        raise _contradiction(header, "fragments of compressed frames")
    if len(place.native) < place.length:
        raise InputError(
            "truncated",
            f"{header.path.name}: {PIXEL_DATA}: expected {place.length} bytes, found "
            f"{len(place.native)} until the end of the file",
            hint="send the object again",
        )


def _check_encapsulated(header: Header, place: Place) -> None:
    if place.length != UNDEFINED_LENGTH and place.native[: len(ITEM)] != ITEM:
        raise _contradiction(header, f"{place.length} bytes without fragments")


def _contradiction(header: Header, found: str) -> InputError:
    expected = f"the encoding of {PIXEL_DATA}"
    said = f"{header.transfer_syntax.name} beside {found}"
    return header.meta.wrong("TransferSyntaxUID", expected, said, "contradictory-file-meta")
