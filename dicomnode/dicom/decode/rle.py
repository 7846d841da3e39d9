"""RLE: one plane after another, each byte of a sample in a segment of its own (PS3.5 G)."""

import struct
from itertools import pairwise

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.decode.shape import Decoded, FrameShape

__all__ = ["decode_rle"]

HEADER = struct.Struct("<16I")


def decode_rle(data: bytes, shape: FrameShape) -> Decoded:
    """Decode a frame; what follows a full plane in its segment is padding.

    Raises
    ------
    ValueError
        The header does not fit the frame, or a segment holds less than its plane.
    """
    width = shape.dtype.itemsize
    pixels = shape.rows * shape.columns
    planes = np.empty((shape.samples, width, pixels), np.uint8)
    for number, segment in enumerate(_segments(data, shape.samples * width)):
        plane = _unpacked(segment, pixels, number + 1)
        # the most significant byte comes first, this machine keeps it last
        planes[number // width, width - 1 - number % width] = plane
    samples = np.ascontiguousarray(np.moveaxis(planes, 1, -1)).view(shape.dtype)[..., 0]
    cube = samples.reshape(shape.samples, shape.rows, shape.columns)
    return Decoded(cube[0] if shape.samples == 1 else np.moveaxis(cube, 0, -1), shape.photometric)


def _segments(data: bytes, expected: int) -> list[bytes]:
    if len(data) < HEADER.size:
        raise ValueError(f"{len(data)} bytes, less than an RLE header")
    count, *offsets = HEADER.unpack_from(data)
    if count != expected:
        raise ValueError(
            f"{count} RLE segments instead of {expected}, one for each byte of a pixel as "
            f"SamplesPerPixel (0028,0002) and BitsAllocated (0028,0100) state"
        )
    bounds = [*offsets[:count], len(data)]
    if bounds[0] != HEADER.size or any(b < a for a, b in pairwise(bounds)):
        raise ValueError("RLE segments that do not follow the header and one another")
    return [data[a:b] for a, b in pairwise(bounds)]


def _unpacked(segment: bytes, pixels: int, number: int) -> NDArray[np.uint8]:
    try:
        plane = imagecodecs.packbits_decode(segment)
    except RuntimeError:
        plane = imagecodecs.packbits_decode(_whole_runs(segment, pixels))
    if len(plane) < pixels:
        raise ValueError(f"{len(plane)} bytes in RLE segment {number} instead of {pixels}")
    return np.frombuffer(plane, np.uint8, pixels)


def _whole_runs(segment: bytes, pixels: int) -> bytes:
    """The runs of a segment up to where the plane is full: padding need not be a run."""
    at = filled = 0
    while at < len(segment) and filled < pixels:
        head = segment[at]
        step = 1 if head == 128 else 2 if head > 128 else head + 2
        if at + step > len(segment):
            break
        filled += 0 if head == 128 else 257 - head if head > 128 else head + 1
        at += step
    return segment[:at]
