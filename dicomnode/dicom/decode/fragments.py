"""Places of the frames of encapsulated pixel data in a file (PS3.5 A.4)."""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dicomnode.errors import InputError

__all__ = [
    "BEGINNINGS",
    "Fragment",
    "frame_fragments",
    "group_by_marker",
    "joined",
    "read_fragments",
]

ITEM = 0xE000FFFE
SEQUENCE_END = 0xE0DDFFFE
UNDEFINED_LENGTH = 0xFFFFFFFF
BEGINNINGS = (b"\xff\xd8", b"\xff\x4f")
"""First marker of a codestream: JPEG's and JPEG-LS's, JPEG 2000's."""
NEXT_FRAME = re.compile(rb"\xff\xd9\x00?(\xff\xd8\xff|\xff\x4f\xff)")
END_OF_IMAGE = b"\xff\xd9"
"""JPEG EOI, JPEG-LS EOI and JPEG 2000 EOC are the same two bytes."""
TAIL = 16
"""Bytes at a fragment's end in which the end marker may be followed by padding."""


@dataclass(frozen=True)
class Fragment:
    """Bytes ``start`` to ``stop`` of the file: the payload of one item."""

    start: int
    stop: int


def read_fragments(data: memoryview, start: int, name: str) -> tuple[list[int], list[Fragment]]:
    """Read the Basic Offset Table and the place of each fragment.

    Parameters
    ----------
    data : memoryview
        The whole file.
    start : int
        Where the value of PixelData begins.
    name : str
        The file's name, for errors.
    """
    fragments: list[Fragment] = []
    at = start
    while True:
        if at + 8 > len(data):
            raise InputError(
                "truncated",
                f"{name}: PixelData (7FE0,0010): expected a sequence delimiter (FFFE,E0DD), "
                f"found the end of the file at byte {len(data)}",
                hint="send the object again",
            )
        tag, length = struct.unpack_from("<II", data, at)
        if tag == SEQUENCE_END:
            break
        if tag != ITEM or length == UNDEFINED_LENGTH or at + 8 + length > len(data):
            raise _broken_item(name, tag, length, at, len(data))
        fragments.append(Fragment(at + 8, at + 8 + length))
        at += 8 + length
    if not fragments:
        raise InputError(
            "no-offset-table",
            f"{name}: PixelData (7FE0,0010): expected a Basic Offset Table item, found none",
        )
    table = fragments.pop(0)
    if (table.stop - table.start) % 4:
        raise InputError(
            "corrupt-offset-table",
            f"{name}: PixelData (7FE0,0010): expected a Basic Offset Table of whole offsets of 4 "
            f"bytes, found {table.stop - table.start} bytes",
        )
    offsets = np.frombuffer(data[table.start : table.stop], "<u4").tolist()
    return offsets, fragments


def _broken_item(name: str, tag: int, length: int, at: int, size: int) -> InputError:
    if tag != ITEM:
        found = f"tag ({tag & 0xFFFF:04X},{tag >> 16:04X})"
        return InputError(
            "corrupt-fragment",
            f"{name}: PixelData (7FE0,0010): expected an item (FFFE,E000) at byte {at}, "
            f"found {found}",
        )
    return InputError(
        "truncated",
        f"{name}: PixelData (7FE0,0010): expected {length} bytes in the item at byte {at}, "
        f"found {size - at - 8} until the end of the file",
        hint="send the object again",
    )


def joined(data: memoryview, fragments: Sequence[Fragment]) -> bytes:
    """Bytes of fragments, one after the other."""
    return b"".join(data[fragment.start : fragment.stop] for fragment in fragments)


def frame_fragments(
    data: memoryview,
    offsets: Sequence[int],
    fragments: Sequence[Fragment],
    number_of_frames: int,
    name: str,
) -> list[list[Fragment]]:
    """Group fragments into frames; the count must be NumberOfFrames.

    One fragment a frame where there are as many, else by the offset table if there is one, else by
    end-of-image markers. Fragments without bytes count only where they make up the number.
    """
    if len(fragments) != number_of_frames:
        fragments = [fragment for fragment in fragments if fragment.stop > fragment.start]
    if len(fragments) == number_of_frames:
        if list(offsets) != _starts(fragments):
            _check_one_each(data, fragments, name)
        return [[fragment] for fragment in fragments]
    if number_of_frames == 1 and len(offsets) <= 1:
        groups = group_by_marker(data, fragments)
        return [list(fragments)] if len(groups) <= 1 else _counted(groups, 1, name)
    groups = _by_offset(offsets, fragments, name) if offsets else group_by_marker(data, fragments)
    return _counted(groups, number_of_frames, name)


def _counted(groups: list[list[Fragment]], expected: int, name: str) -> list[list[Fragment]]:
    if len(groups) != expected:
        raise InputError(
            "wrong-number-of-frames",
            f"{name}: expected {expected} frames as NumberOfFrames (0028,0008) states, "
            f"found {len(groups)} in PixelData (7FE0,0010)",
        )
    return groups


def _by_offset(
    offsets: Sequence[int], fragments: Sequence[Fragment], name: str
) -> list[list[Fragment]]:
    starts = _starts(fragments)
    if not set(offsets) <= set(starts):
        raise InputError(
            "corrupt-offset-table",
            f"{name}: PixelData (7FE0,0010): expected every offset of the Basic Offset Table at "
            f"the start of a fragment, found some that are not",
        )
    groups: list[list[Fragment]] = []
    for start, fragment in zip(starts, fragments, strict=True):
        if start in offsets:
            groups.append([])
        groups[-1].append(fragment)
    return groups


def _starts(fragments: Sequence[Fragment]) -> list[int]:
    """Offsets of fragments, as a Basic Offset Table counts them."""
    return [fragment.start - fragments[0].start for fragment in fragments]


def _check_one_each(data: memoryview, fragments: Sequence[Fragment], name: str) -> None:
    """See that no fragment holds a frame's end and the next one's beginning.

    As many fragments as frames would then be a coincidence, and frames at another time than theirs.
    """
    for number, fragment in enumerate(fragments, start=1):
        held = bytes(data[fragment.start : fragment.stop])
        if held.startswith(BEGINNINGS) and NEXT_FRAME.search(held):
            raise InputError(
                "wrong-number-of-frames",
                f"{name}: PixelData (7FE0,0010): expected one frame in each of as many fragments "
                f"as NumberOfFrames (0028,0008) states, found two in fragment {number}",
            )


def group_by_marker(data: memoryview, fragments: Sequence[Fragment]) -> list[list[Fragment]]:
    """Group fragments into frames, each of which ends with an end-of-image marker."""
    groups: list[list[Fragment]] = [[]]
    for fragment in fragments:
        groups[-1].append(fragment)
        if _tail(data, groups[-1]).rstrip(b"\x00").endswith(END_OF_IMAGE):
            groups.append([])
    return [group for group in groups if group]


def _tail(data: memoryview, group: Sequence[Fragment]) -> bytes:
    """Last bytes of a frame so far; the end marker may be cut in two by a fragment's edge."""
    return b"".join(
        bytes(data[max(fragment.stop - TAIL, fragment.start) : fragment.stop])
        for fragment in group[-2:]
    )
