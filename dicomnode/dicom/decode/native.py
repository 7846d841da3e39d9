"""Uncompressed frames: slices of the pixel data in their byte order and plane order."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.decode.shape import FrameShape, Samples
from dicomnode.dicom.elements import tag_text
from dicomnode.dicom.header import Header
from dicomnode.errors import InputError

__all__ = ["frame_bytes", "native_samples"]

U8 = NDArray[np.uint8]

BYTES_A_PIXEL = (1, 2, 3)
"""Of samples that can be read: grey or a palette, 4:2:2 or wide indices, colour."""


def frame_bytes(shape: FrameShape) -> int:
    """Bytes of one uncompressed frame."""
    per_pixel = 2 if shape.photometric == "YBR_FULL_422" else shape.samples
    return shape.rows * shape.columns * per_pixel * shape.dtype.itemsize


def native_samples(
    header: Header, shape: FrameShape, count: int, wanted: list[int], value: memoryview, vr: str
) -> Iterator[Samples]:
    """Samples of the wanted frames, (R, C) or (R, C, 3), from the whole value of PixelData.

    A 4:2:2 frame comes back with one Cb and Cr for every pixel.
    """
    _check_layout(header, shape)
    _check_length(header, shape, count, len(value))
    size = frame_bytes(shape)
    arrange = _arranger(header, shape)
    swap = _is_byte_swapped(header, shape, vr)
    for index in wanted:
        raw = np.frombuffer(value[index * size : (index + 1) * size], np.uint8)
        yield arrange(_in_order(raw, swap).view(shape.dtype))


def _check_layout(header: Header, shape: FrameShape) -> None:
    """Refuse what has no one meaning without compression."""
    elements = header.elements
    if shape.photometric == "YBR_FULL_422" and shape.columns % 2:
        raise elements.wrong("Columns", "an even number, as YBR_FULL_422 has", shape.columns)


def _check_length(header: Header, shape: FrameShape, count: int, length: int) -> None:
    """Compare the length with the labels, which may be left from before a decompression."""
    size, area = frame_bytes(shape), shape.rows * shape.columns
    pixels, per_pixel = count * area, size // area
    if 0 <= length - pixels * per_pixel <= 1:
        return
    for other in BYTES_A_PIXEL:
        if other != per_pixel and 0 <= length - pixels * other <= 1:
            raise InputError(
                "contradicting-photometric",
                f"{header.path.name}: expected {per_pixel} bytes a pixel as "
                f"{tag_text('PhotometricInterpretation')} {shape.photometric}, "
                f"{tag_text('SamplesPerPixel')} {shape.samples} and "
                f"{tag_text('BitsAllocated')} {shape.bits_allocated} state, found {other} "
                f"in PixelData (7FE0,0010), {length} bytes of {count} frames",
            )
    if length // size != count:
        raise InputError(
            "wrong-number-of-frames",
            f"{header.path.name}: expected {count} frames as NumberOfFrames (0028,0008) states, "
            f"{count * size} bytes, found {length} bytes "
            f"({length / size:.2f} frames) in PixelData (7FE0,0010)",
        )


def _is_byte_swapped(header: Header, shape: FrameShape, vr: str) -> bool:
    """Big endian swaps words, and with them pairs of 8-bit samples that lie in OW (PS3.5 8.1)."""
    big = not header.transfer_syntax.is_little_endian
    return big and (shape.bits_allocated == 16 or vr == "OW")


def _in_order(raw: U8, swap: bool) -> U8:
    if not swap:
        return raw
    even = len(raw) // 2 * 2
    return np.concatenate([raw[:even].view(np.uint16).byteswap().view(np.uint8), raw[even:]])


def _arranger(header: Header, shape: FrameShape) -> Callable[[Samples], Samples]:
    rows, columns, samples = shape.rows, shape.columns, shape.samples
    if shape.photometric == "YBR_FULL_422":
        return lambda flat: _from_422(flat.reshape(rows, columns // 2, 4))
    if samples == 3 and header.elements.whole("PlanarConfiguration", 0, 1) == 1:
        return lambda flat: np.moveaxis(flat.reshape(samples, rows, columns), 0, -1)
    return lambda flat: flat.reshape(shape.shape)


def _from_422(pairs: Samples) -> Samples:
    """Y1 Y2 Cb Cr for each two pixels to Y Cb Cr for each one (PS3.3 C.7.6.3.1.2)."""
    rows, half, _ = pairs.shape
    out = np.empty((rows, half, 2, 3), pairs.dtype)
    out[..., 0] = pairs[..., :2]
    out[..., 1:] = pairs[:, :, None, 2:]
    return out.reshape(rows, half * 2, 3)
