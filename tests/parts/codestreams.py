"""Codestreams made to order: JPEG of any sampling, identifiers and markers; RLE with padding."""

import imagecodecs
import numpy as np
import simplejpeg

__all__ = ["EXIF", "JFIF", "adobe", "jpeg_of", "marked", "rle_of"]

JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
EXIF = b"\xff\xe1\x00\x0aExif\x00\x00\x00\x00"
START_OF_FRAME, START_OF_SCAN = 0xC0, 0xDA


def adobe(transform: int) -> bytes:
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])


def jpeg_of(frame: np.ndarray, subsampling: str = "444") -> bytes:
    """JPEG of a grey frame, or of a colour frame as YCbCr."""
    if frame.ndim == 2:
        return simplejpeg.encode_jpeg(frame[..., None], 95, "GRAY", "Gray")
    return simplejpeg.encode_jpeg(np.ascontiguousarray(frame), 95, "RGB", subsampling)


def marked(jpeg: bytes, *markers: bytes, ids: bytes = b"\x01\x02\x03", late: bool = False) -> bytes:
    """The same scan behind these markers in place of JFIF, its components named by ``ids``.

    ``late`` puts the markers just before the scan.
    """
    kept, at = [], 2
    while True:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        part = bytearray(jpeg[at : at + 2 + length])
        at += 2 + length
        first = {START_OF_FRAME: 10, START_OF_SCAN: 5}.get(marker)
        if first is not None:
            step = 3 if marker == START_OF_FRAME else 2
            part[first : first + 3 * step : step] = ids
        if marker == START_OF_SCAN:
            break
        if marker != 0xE0:
            kept.append(bytes(part))
    parts = [*kept, *markers] if late else [*markers, *kept]
    return b"".join([jpeg[:2], *parts, bytes(part), jpeg[at:]])


def rle_of(frame: np.ndarray, padding: int = 0) -> bytes:
    """RLE of a frame, each plane's segment with so many bytes beyond the plane."""
    planes = np.moveaxis(np.atleast_3d(frame), -1, 0)
    extra = b"\0" * padding
    packed = [
        imagecodecs.packbits_encode(np.frombuffer(p.tobytes() + extra, np.uint8)) for p in planes
    ]
    packed = [part + b"\0" * (len(part) % 2) for part in packed]
    starts = np.cumsum([64, *map(len, packed)])[:-1]
    header = np.zeros(16, "<u4")
    header[: len(packed) + 1] = [len(packed), *starts]
    return header.tobytes() + b"".join(packed)
