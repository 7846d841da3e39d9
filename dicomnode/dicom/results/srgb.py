"""The ICC profile of sRGB as presentation states carry it: of a source device (PS3.3 C.11.15)."""

import struct
from collections.abc import Mapping, Sequence

__all__ = ["COLOR_SPACE", "srgb_profile"]

COLOR_SPACE = "SRGB"
"""Color Space (0028,2002) that goes with the profile."""

D50 = (0.9642, 1.0, 0.8249)
"""White of the profile connection space (ICC.1, 7.2.16)."""
PRIMARIES: Mapping[str, tuple[float, float, float]] = {
    "rXYZ": (0.43607, 0.22249, 0.01392),
    "gXYZ": (0.38515, 0.71687, 0.09708),
    "bXYZ": (0.14307, 0.06061, 0.71410),
}
"""Of sRGB (IEC 61966-2-1), adapted from D65 to D50 by the Bradford transformation."""
BRADFORD = (1.04788, 0.02292, -0.05022, 0.02959, 0.99048, -0.01707, -0.00925, 0.01508, 0.75168)
"""That transformation, row by row."""
CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""sRGB's: (a x + b) ** gamma from d on, c x below; gamma, a, b, c, d (ICC.1, 10.18, type 3)."""
HEADER = 128


def srgb_profile() -> bytes:
    """Return an ICC version 4 profile of sRGB, always the same bytes.

    PS3.3 C.11.15.1.1 wants class "scnr", colours in RGB, which PS3.3 takes YBR for too, and
    CIELab or CIEXYZ as connection space. Profiles that come with systems and libraries are
    those of a display or of a colour space.
    """
    tags = {
        "desc": _text("sRGB"),
        "cprt": _text("No copyright, use freely"),
        "wtpt": _numbers("XYZ ", D50),
        "chad": _numbers("sf32", BRADFORD),
        **{name: _numbers("XYZ ", primary) for name, primary in PRIMARIES.items()},
        **dict.fromkeys(("rTRC", "gTRC", "bTRC"), _numbers("para", CURVE, function=3)),
    }
    table, values = b"", b""
    start = HEADER + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name.encode(), start + len(values), len(value))
        values += value + bytes(-len(value) % 4)
    body = struct.pack(">I", len(tags)) + table + values
    return _header(HEADER + len(body)) + body


def _header(size: int) -> bytes:
    """Return the profile's header (ICC.1, 7.2): no date but the epoch, intent perceptual."""
    made = struct.pack(">II4s4s4s4s", size, 0, b"\x04\x30\0\0", b"scnr", b"RGB ", b"XYZ ")
    made += struct.pack(">6H4s", 1970, 1, 1, 0, 0, 0, b"acsp")
    made = made.ljust(68, b"\0") + _fixed(D50)
    return made.ljust(HEADER, b"\0")


def _text(text: str) -> bytes:
    """Return a multiLocalizedUnicodeType of one record (ICC.1, 10.15)."""
    encoded = text.encode("utf-16-be")
    return struct.pack(">4sIII4sII", b"mluc", 0, 1, 12, b"enUS", len(encoded), 28) + encoded


def _numbers(kind: str, values: Sequence[float], *, function: int | None = None) -> bytes:
    """Return a tag of numbers in fixed point, of a curve with the number of its function."""
    chosen = b"" if function is None else struct.pack(">HH", function, 0)
    return struct.pack(">4sI", kind.encode(), 0) + chosen + _fixed(values)


def _fixed(values: Sequence[float]) -> bytes:
    """Return numbers as s15Fixed16Number (ICC.1, 4.6)."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
