"""A codestream about itself, before it is decoded: size, samples, colour (PS3.5 8.2)."""

import struct
from dataclasses import dataclass

from dicomnode.dicom.decode.shape import FrameShape

__all__ = ["Codestream", "check_size", "ended", "read_jpeg", "read_jpeg_2000", "segments"]

START_OF_SCAN = 0xDA
END_OF_IMAGE = 0xD9
START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15 without DHT, JPG and DAC (T.81 B.1.1.3), and SOF55 of JPEG-LS (T.87 C.1.1)."""
WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
CODESTREAM_AND_SIZE = b"\xff\x4f\xff\x51"
"""SOC and SIZ of JPEG 2000 (T.800 A.4)."""
JP2_HEADER = 4096
"""Bytes in which a codestream begins that is wrapped in a JP2 file, against PS3.5 8.2.4."""


@dataclass(frozen=True, kw_only=True)
class Codestream:
    """The header of a codestream.

    Attributes
    ----------
    precision : int
        Bits a sample.
    component_ids : bytes
        One byte for each component, as JPEG names them.
    sampling : bytes
        Horizontal and vertical sampling factor of each component, four bits each.
    adobe_transform : int or None
        Adobe's APP14: 0 RGB, 1 YCbCr.
    is_jfif, is_exif : bool
        Whether it is marked as such a file, whose colours are YCbCr.
    """

    rows: int
    columns: int
    components: int
    precision: int
    component_ids: bytes = b""
    sampling: bytes = b""
    adobe_transform: int | None = None
    is_jfif: bool = False
    is_exif: bool = False

    @property
    def is_subsampled(self) -> bool:
        """Whether some component has fewer samples than another."""
        return len(set(self.sampling)) > 1


def check_size(stream: Codestream, shape: FrameShape) -> None:
    """Compare a codestream with the header before any memory is taken for its pixels.

    Raises
    ------
    ValueError
        Naming the elements that say otherwise.
    """
    if (stream.rows, stream.columns) != (shape.rows, shape.columns):
        raise ValueError(
            f"a codestream of {stream.rows} × {stream.columns} pixels instead of "
            f"Rows (0028,0010) {shape.rows} × Columns (0028,0011) {shape.columns}"
        )
    if stream.components != shape.samples:
        raise ValueError(
            f"a codestream of {stream.components} components instead of "
            f"SamplesPerPixel (0028,0002) {shape.samples}"
        )
    least = 1 if shape.photometric == "PALETTE COLOR" else shape.bits_allocated
    if not least <= stream.precision <= shape.bits_allocated:
        raise ValueError(
            f"a codestream of {stream.precision} bits instead of "
            f"BitsAllocated (0028,0100) {shape.bits_allocated}"
        )


def read_jpeg(data: bytes) -> Codestream:
    """Read the markers of a JPEG or JPEG-LS codestream up to its first scan."""
    frame, adobe, jfif, exif = b"", None, False, False
    for marker, body in segments(data)[0]:
        if marker in START_OF_FRAME:
            if frame:
                raise ValueError("a JPEG with two frame headers")
            frame = body
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        jfif = jfif or (marker == 0xE0 and body.startswith(b"JFIF"))
        exif = exif or (marker == 0xE1 and body.startswith(b"Exif"))
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise ValueError("a JPEG without a frame header before its scan")
    precision, rows, columns, components = struct.unpack(">BHHB", frame[:6])
    return Codestream(
        rows=rows,
        columns=columns,
        components=components,
        precision=precision,
        component_ids=frame[6 : 6 + 3 * components : 3],
        sampling=frame[7 : 6 + 3 * components : 3],
        adobe_transform=adobe,
        is_jfif=jfif,
        is_exif=exif,
    )


def ended(data: bytes) -> bytes:
    """Close a JPEG or JPEG-LS codestream that lacks its end.

    What lacks no more than that is whole, but for a fragment's padding byte; and JPEG-LS's decoder
    looks for minutes for the end of a run of zeros where there is none.
    """
    end = bytes((0xFF, END_OF_IMAGE))
    if data.rstrip(b"\0").endswith(end):
        return data
    is_padded = len(data) % 2 == 0 and data.endswith(b"\0") and not data.endswith(b"\xff\0")
    return (data[:-1] if is_padded else data) + end


def segments(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Give the marker segments of a JPEG before its first scan, (marker, content) each.

    And the place of the scan's own marker.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("no JPEG: it does not begin with a start of image")
    found: list[tuple[int, bytes]] = []
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if len(data) < at + 4 or data[at] != 0xFF:
            raise ValueError(f"a JPEG whose markers break off at its byte {at}")
        marker = data[at + 1]
        if marker == END_OF_IMAGE:
            raise ValueError("a JPEG that ends before its scan")
        if marker == START_OF_SCAN:
            return found, at
        if marker in WITHOUT_LENGTH:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + max(length, 2)


def read_jpeg_2000(data: bytes) -> Codestream:
    """Read the size marker of a JPEG 2000 or HTJ2K codestream, and see that it is whole."""
    start = data.find(CODESTREAM_AND_SIZE, 0, JP2_HEADER)
    if start < 0 or len(data) < start + 43:
        raise ValueError("no JPEG 2000: it does not begin with a codestream's size")
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    _check_tiles(struct.unpack_from(">8I", data, start + 8))
    components, depth = struct.unpack_from(">HB", data, start + 40)
    if (
        0
        in data[start + 43 : start + 42 + 3 * components : 3]
        + data[start + 44 : start + 42 + 3 * components : 3]
    ):
        raise ValueError("a JPEG 2000 component without samples")
    _check_tile_parts(data, start)
    return Codestream(
        rows=bottom - top, columns=right - left, components=components, precision=depth % 128 + 1
    )


def _check_tiles(grid: tuple[int, ...]) -> None:
    """See that tiles have a size and begin where the image does (T.800 B.3): decoders divide by it.

    ``grid``: right and bottom, left and top of the image; width and height, left and top of tiles.
    """
    for right, left, size, first in zip(grid[:2], grid[2:4], grid[4:6], grid[6:], strict=True):
        if not (first <= left < right and size > 0 and left < first + size):
            raise ValueError("a JPEG 2000 codestream whose tiles do not cover its image")


def _check_tile_parts(data: bytes, start: int) -> None:
    """Follow the lengths of the tile-parts to the end: HTJ2K's decoder does not miss what is cut.

    A length of 0 reaches to the end of the codestream (T.800 A.4.2).
    """
    at = data.find(b"\xff\x90", start + 4)
    while at >= 0 and data[at : at + 2] == b"\xff\x90":
        length = int.from_bytes(data[at + 6 : at + 10], "big")
        if length == 0:
            return
        if at + length > len(data):
            raise ValueError("a JPEG 2000 codestream that is cut off")
        at += max(length, 12)
