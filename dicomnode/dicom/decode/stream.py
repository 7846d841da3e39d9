"""Frames of a DICOM file, one at a time, cut to a box as they are decoded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.box import Box
from dicomnode.dicom.decode.compression import (
    CODECS,
    LUMA_CODECS,
    VIDEO,
    Decoded,
    FrameShape,
    video_frames,
)
from dicomnode.dicom.decode.fragments import (
    Fragment,
    frame_fragments,
    group_by_marker,
    read_fragments,
)
from dicomnode.dicom.decode.native import frame_bytes, native_samples
from dicomnode.dicom.decode.place import PIXEL_DATA, find_pixels
from dicomnode.dicom.decode.samples import Colour, converter
from dicomnode.dicom.header import Header, read_header
from dicomnode.errors import InputError

__all__ = ["frame_shape", "frames", "number_of_frames", "stored_frames"]

U8 = NDArray[np.uint8]
RLE = "1.2.840.10008.1.2.5"
"""Each frame is one fragment (PS3.5 A.4.2)."""
BEGINNINGS = (b"\xff\xd8", b"\xff\x4f")
"""First marker of a codestream: JPEG's and JPEG-LS's, JPEG 2000's."""
MOST_FRAMES = 2**31 - 1
"""What an integer string may say (PS3.5 6.2)."""
GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")


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
    header = source if isinstance(source, Header) else read_header(source)
    shape = frame_shape(header)
    count = number_of_frames(header)
    wanted = list(range(count)) if only is None else list(only)
    if any(index >= count for index in wanted) or any(b <= a for a, b in pairwise(wanted)):
        raise ValueError(f"only: expected ascending frame indices below {count}, got {wanted}")
    cut = _cutter(box, shape, header.path.name)
    request = _Request(header=header, shape=shape, count=count, wanted=wanted, colour=colour)
    for frame in _whole_frames(request):
        yield np.ascontiguousarray(frame[cut])


def number_of_frames(header: Header) -> int:
    """NumberOfFrames, 1 where a single-frame object has none."""
    if not header.elements.states("NumberOfFrames"):
        return 1
    elements = replace(header.elements, code="no-frames")
    return elements.whole("NumberOfFrames", 1, MOST_FRAMES)


def stored_frames(header: Header) -> int:
    """Frames that PixelData holds, whatever NumberOfFrames says."""
    place = find_pixels(header)
    if not header.transfer_syntax.is_encapsulated:
        return len(place.native) // frame_bytes(frame_shape(header))
    offsets, fragments = read_fragments(place.data, place.start, header.path.name)
    if str(header.transfer_syntax) in VIDEO:
        return _count_video(header, _joined(place.data, fragments))
    if str(header.transfer_syntax) == RLE:
        return len(fragments)
    begun = sum(place.data[part.start : part.start + 2] in BEGINNINGS for part in fragments)
    return max(len(offsets), len(group_by_marker(place.data, fragments)), begun)


def _count_video(header: Header, stream: bytes) -> int:
    seen = 0
    try:
        for _ in video_frames(stream, "luma"):
            seen += 1
    except av.FFmpegError as error:
        raise _corrupt(header, seen, str(error)) from error
    return seen


def frame_shape(header: Header) -> FrameShape:
    """Size and sample layout, checked against what ultrasound may be (PS3.3 C.8.5.6)."""
    elements = replace(header.elements, code="no-image")
    rows, columns = (elements.whole(keyword, 1, 65535) for keyword in ("Rows", "Columns"))
    photometric = elements.text("PhotometricInterpretation")
    if not photometric:
        raise elements.wrong("PhotometricInterpretation", "a value", "none")
    bits = replace(elements, code="unsupported-bits").whole("BitsAllocated", 1, 65535)
    if bits not in (8, 16) or (bits == 16 and photometric != "PALETTE COLOR"):
        expected = "8 bits, or 16 with a palette"
        raise _wrong(header, "unsupported-bits", "BitsAllocated", expected, bits)
    samples = (
        elements.whole("SamplesPerPixel", 0, 65535) if elements.states("SamplesPerPixel") else 1
    )
    if samples not in (1, 3):
        raise _wrong(header, "unsupported-samples", "SamplesPerPixel", "1 or 3", samples)
    return FrameShape(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=bits,
        photometric=photometric,
    )


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


def _whole_frames(request: _Request) -> Iterator[U8]:
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


def _encapsulated(request: _Request, data: memoryview, start: int) -> Iterator[U8]:
    """Compressed frames, one codestream each."""
    header = request.header
    codecs = LUMA_CODECS if request.colour == "luma" else CODECS
    codec = codecs.get(str(header.transfer_syntax))
    if codec is None:
        expected = "one that can be decoded"
        found = f"{header.transfer_syntax.name} ({header.transfer_syntax})"
        raise _wrong(header, "unsupported-transfer-syntax", "TransferSyntaxUID", expected, found)
    offsets, fragments = read_fragments(data, start, header.path.name)
    groups = frame_fragments(data, offsets, fragments, request.count, header.path.name)
    for index in request.wanted:
        try:
            decoded = codec(_joined(data, groups[index]), request.shape)
        except (RuntimeError, ValueError, TypeError) as error:
            raise _corrupt(header, index, str(error)) from error
        yield _converted(request, index, decoded)


def _joined(data: memoryview, fragments: list[Fragment]) -> bytes:
    return b"".join(data[fragment.start : fragment.stop] for fragment in fragments)


def _corrupt(header: Header, index: int, found: str) -> InputError:
    return InputError(
        "corrupt-fragment",
        f"{header.path.name}: {PIXEL_DATA}: expected frame {index + 1} as "
        f"{header.transfer_syntax.name}, found {found}",
    )


def _converted(request: _Request, index: int, decoded: Decoded) -> U8:
    shape, samples = request.shape, decoded.samples
    grey = decoded.photometric in GREY
    if samples.shape != (shape.shape[:2] if grey else shape.shape):
        found = f"samples of shape {samples.shape} instead of {shape.shape}"
        raise _corrupt(request.header, index, found)
    name = request.header.path.name
    return converter(request.header.dataset, decoded.photometric, request.colour, name)(samples)


def _video(request: _Request, data: memoryview, start: int) -> Iterator[U8]:
    """Frames of a video stream: decoded from the first on, the unwanted dropped."""
    header, shape = request.header, request.shape
    _, fragments = read_fragments(data, start, header.path.name)
    wanted = set(request.wanted)
    seen = 0
    try:
        for index, frame in enumerate(video_frames(_joined(data, fragments), request.colour)):
            seen = index + 1
            if frame.shape[:2] != shape.shape[:2]:
                raise _corrupt(header, index, f"{frame.shape[0]} × {frame.shape[1]} pixels")
            if index in wanted:
                yield frame
    except av.FFmpegError as error:
        raise _corrupt(header, seen, str(error)) from error
    if seen != request.count:
        raise InputError(
            "wrong-number-of-frames",
            f"{header.path.name}: expected {request.count} frames as NumberOfFrames (0028,0008) "
            f"states, found {seen} in the video stream",
        )
