"""Frames of a DICOM file, one at a time, cut to a box as they are decoded."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.box import Box
from dicomnode.dicom.decode.compression import CODECS, decode
from dicomnode.dicom.decode.fragments import frame_fragments, joined, read_fragments
from dicomnode.dicom.decode.native import native_samples
from dicomnode.dicom.decode.place import PIXEL_DATA, find_pixels
from dicomnode.dicom.decode.samples import converter
from dicomnode.dicom.decode.shape import (
    Colour,
    Decoded,
    FrameShape,
    frame_shape,
    number_of_frames,
)
from dicomnode.dicom.decode.video import VIDEO, video_frames
from dicomnode.dicom.header import Header, read_header
from dicomnode.errors import InputError

__all__ = ["Damaged", "frames", "frames_or_damage"]

U8 = NDArray[np.uint8]
DAMAGE = (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, struct.error)
"""What decoders and readers of markers raise where bytes are not what they must be."""
GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")


@dataclass(frozen=True)
class Damaged:
    """A frame whose codestream is damaged, and what is wrong with it."""

    error: InputError


def frames(
    source: Path | Header,
    *,
    box: Box | None = None,
    only: Iterable[int] | None = None,
    colour: Colour = "rgb",
) -> Iterator[U8]:
    """Decode frames in order.

    Parameters
    ----------
    source : Path or Header
        The file, or its header if that was read already.
    box : Box or None
        Part of the image to keep; None keeps all.
    only : iterable of int or None
        Ascending 0-based indices of the frames wanted; None gives all.
    colour : "rgb" or "luma"
        Luma is faster, and for a tinted pane as good.

    Yields
    ------
    ndarray of uint8
        Shape (rows, columns, 3) for "rgb", (rows, columns) for "luma".

    Raises
    ------
    InputError
        Naming file, tag, what was expected and what was found.
    """
    for frame in frames_or_damage(source, box=box, only=only, colour=colour):
        if isinstance(frame, Damaged):
            raise frame.error
        yield frame


def frames_or_damage(
    source: Path | Header,
    *,
    box: Box | None = None,
    only: Iterable[int] | None = None,
    colour: Colour = "rgb",
) -> Iterator[U8 | Damaged]:
    """Decode frames as :func:`frames` does, but go on after one whose codestream is damaged.

    A video is refused as a whole: its frames are built on each other.
    """
    header = source if isinstance(source, Header) else read_header(source)
    shape = frame_shape(header)
    count = number_of_frames(header)
    wanted = list(range(count)) if only is None else list(only)
    if any(index >= count for index in wanted) or any(b <= a for a, b in pairwise(wanted)):
        raise ValueError(f"only: expected ascending frame indices below {count}, got {wanted}")
    cut = _cutter(box, shape, header.path.name)
    request = _Request(header=header, shape=shape, count=count, wanted=wanted, colour=colour)
    for frame in _whole_frames(request):
        yield frame if isinstance(frame, Damaged) else np.ascontiguousarray(frame[cut])


def _wrong(header: Header, code: str, keyword: str, expected: str, found: object) -> InputError:
    return header.elements.wrong(keyword, expected, found, code)


def _cutter(box: Box | None, shape: FrameShape, name: str) -> tuple[slice, slice]:
    if box is None:
        return slice(None), slice(None)
    if box.row + box.rows > shape.rows or box.column + box.columns > shape.columns:
        raise ValueError(f"{name}: {box} is not inside {shape.rows} × {shape.columns} pixels")
    return box.slices


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What is wanted of which file."""

    header: Header
    shape: FrameShape
    count: int
    wanted: list[int]
    colour: Colour


def _whole_frames(request: _Request) -> Iterator[U8 | Damaged]:
    header = request.header
    place = find_pixels(header)
    if not header.transfer_syntax.is_encapsulated:
        yield from _native(request, place.native, place.vr)
    elif str(header.transfer_syntax) in VIDEO:
        yield from _video(request, place.data, place.start)
    else:
        yield from _encapsulated(request, place.data, place.start)


def _native(request: _Request, value: memoryview, vr: str) -> Iterator[U8]:
    header, shape = request.header, request.shape
    convert = converter(header.dataset, shape.photometric, request.colour, header.path.name)
    for samples in native_samples(header, shape, request.count, request.wanted, value, vr):
        yield convert(samples)


def _encapsulated(request: _Request, data: memoryview, start: int) -> Iterator[U8 | Damaged]:
    """Compressed frames, one codestream each."""
    header, syntax = request.header, str(request.header.transfer_syntax)
    if syntax not in CODECS:
        expected = "one that can be decoded"
        found = f"{header.transfer_syntax.name} ({header.transfer_syntax})"
        raise _wrong(header, "unsupported-transfer-syntax", "TransferSyntaxUID", expected, found)
    offsets, fragments = read_fragments(data, start, header.path.name)
    groups = frame_fragments(data, offsets, fragments, request.count, header.path.name)
    convert = cache(
        partial(converter, header.dataset, colour=request.colour, name=header.path.name)
    )
    for index in request.wanted:
        try:
            decoded = decode(syntax, joined(data, groups[index]), request.shape, request.colour)
            _check_shape(decoded, request.shape)
        except DAMAGE as error:
            yield Damaged(_corrupt(header, index, str(error)))
            continue
        yield convert(decoded.photometric)(decoded.samples)


def _corrupt(header: Header, index: int, found: str) -> InputError:
    return InputError(
        "corrupt-fragment",
        f"{header.path.name}: {PIXEL_DATA}: expected frame {index + 1} as "
        f"{header.transfer_syntax.name}, found {found}",
    )


def _check_shape(decoded: Decoded, shape: FrameShape) -> None:
    is_grey = decoded.photometric in GREY
    if decoded.samples.shape != (shape.shape[:2] if is_grey else shape.shape):
        raise ValueError(f"samples of shape {decoded.samples.shape} instead of {shape.shape}")
    if decoded.samples.dtype != shape.dtype:
        raise ValueError(f"samples of {decoded.samples.dtype} instead of {shape.dtype}")


def _video(request: _Request, data: memoryview, start: int) -> Iterator[U8]:
    """Frames of a video stream: decoded from the first on, the unwanted dropped."""
    header, shape = request.header, request.shape
    _, fragments = read_fragments(data, start, header.path.name)
    wanted = set(request.wanted)
    seen = 0
    try:
        for index, frame in enumerate(
            video_frames(
                joined(data, fragments), str(header.transfer_syntax), shape, request.colour
            )
        ):
            seen = index + 1
            if frame.shape[:2] != shape.shape[:2]:
                raise _corrupt(header, index, f"{frame.shape[0]} × {frame.shape[1]} pixels")
            if index in wanted:
                yield frame
    except (av.FFmpegError, ValueError) as error:
        raise _corrupt(header, seen, str(error)) from error
    if seen != request.count:
        raise InputError(
            "wrong-number-of-frames",
            f"{header.path.name}: expected {request.count} frames as NumberOfFrames (0028,0008) "
            f"states, found {seen} in the video stream",
        )
