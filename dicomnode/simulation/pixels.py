"""One painted frame as the bytes of a compressed DICOM frame."""

import io
import struct

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["jpeg", "packbits"]

QUALITY = 92


def jpeg(frame: NDArray[np.uint8]) -> bytes:
    """JPEG Baseline with chroma at half the columns, as YBR_FULL_422 asks (PS3.3 C.7.6.3.1.2)."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:2")
    return buffer.getvalue()


def packbits(frame: NDArray[np.uint8]) -> bytes:
    """RLE of an RGB frame: a header of offsets, then one PackBits segment per channel (PS3.5 G)."""
    segments = []
    for channel in range(3):
        packed = bytes(imagecodecs.packbits_encode(np.ascontiguousarray(frame[..., channel])))
        segments.append(packed + b"\0" * (len(packed) % 2))
    offsets = [64, 64 + len(segments[0]), 64 + len(segments[0]) + len(segments[1])]
    return struct.pack("<16L", 3, *offsets, *[0] * 12) + b"".join(segments)
