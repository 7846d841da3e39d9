"""Uncompressed frames: slices of the pixel data in their byte order and plane order."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.decode.compression import FrameShape
from dicomnode.dicom.decode.samples import Samples
from dicomnode.dicom.header import Header
from dicomnode.errors import InputError

__all__ = ["frame_bytes", "native_samples"]

U8 = NDArray[np.uint8]


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
    size = frame_bytes(shape)
    _check_length(header, count, size, len(value))
    arrange = _arranger(header, shape)
    swap = _is_byte_swapped(header, shape, vr)
    for index in wanted:
        raw = np.frombuffer(value[index * size : (index + 1) * size], np.uint8)
        yield arrange(_in_order(raw, swap).view(shape.dtype))


def _check_length(header: Header, count: int, size: int, length: int) -> None:
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
