"""Palettes as 8-bit RGB (PS3.3 C.7.6.3.1.5 and on): read where only one reading is possible."""

import struct

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from dicomnode.dicom.decode.shape import is_signed
from dicomnode.dicom.elements import Elements
from dicomnode.errors import InputError

__all__ = ["palette_of"]

U8 = NDArray[np.uint8]
Table = NDArray[np.uint16]
Descriptor = tuple[int, int, int]
"""Entries, first stored value mapped, bits of an entry."""

CHANNELS = ("Red", "Green", "Blue")
MISSING = 1
"""Entries that a table may lack; the last one then stands for them, as in DCMTK."""
MOST_ENTRIES = 1 << 16


def palette_of(header: Dataset, name: str) -> tuple[U8, int]:
    """Palette (N, 3) as 8-bit RGB and the stored value of its first entry.

    Raises
    ------
    InputError
        Descriptors and tables disagree in a way that can be read as more than one palette.
    """
    descriptors = [_descriptor(header, channel, name) for channel in CHANNELS]
    for channel, found in zip(CHANNELS, descriptors, strict=True):
        if found != descriptors[0]:
            expected = f"the red one's descriptor, {_shown(descriptors[0])}"
            raise _error(name, channel, expected, _shown(found))
    entries, first, bits = descriptors[0]
    if not 8 <= bits <= 16:
        raise _error(name, "Red", "8 to 16 bits an entry", f"{bits}")
    if "RedPaletteColorLookupTableData" not in header:
        return _segmented(header, entries, first, bits, name), first
    words = {channel: _table(header, channel, descriptors[0], name) for channel in CHANNELS}
    if any(width == 1 for _, width in words.values()):
        return _narrow(words, name), first
    tables = np.stack([table for table, _ in words.values()], axis=-1)
    return _eight_bits(tables, bits, name), first


def _descriptor(header: Dataset, channel: str, name: str) -> Descriptor:
    values = Elements(dataset=header, file=name, code="bad-palette").numbers(
        f"{channel}PaletteColorLookupTableDescriptor"
    )
    if len(values) != 3 or any(not value.is_integer() for value in values.tolist()):
        found = "none" if len(values) == 0 else "another"
        raise _error(name, channel, "a descriptor of 3 whole numbers", found)
    entries, first, bits = (int(value) for value in values)
    if is_signed(Elements(dataset=header, file=name)):
        first = (first + 0x8000) % 0x10000 - 0x8000
    return entries % MOST_ENTRIES or MOST_ENTRIES, first, bits


def _table(header: Dataset, channel: str, descriptor: Descriptor, name: str) -> tuple[Table, int]:
    """Entries of a table and how many bytes each takes."""
    entries, _, bits = descriptor
    data = _bytes(header, channel)
    width = _width(len(data), entries, bits)
    if width is None:
        expected = f"{entries} entries of {bits} bits"
        raise _error(name, channel, expected, f"{len(data)} bytes")
    table = np.frombuffer(data, "<u2" if width == 2 else np.uint8, min(entries, len(data) // width))
    return np.pad(table.astype(np.uint16), (0, entries - len(table)), mode="edge"), width


def _width(length: int, entries: int, bits: int) -> int | None:
    """Bytes of an entry, where the length allows one reading only.

    Tables of 8 bits may have an entry in each word. A table of words may be longer than stated.
    """
    if length >= 2 * entries:
        return 2
    if bits == 8 and entries - MISSING <= length <= entries + 1:
        return 1
    if length in (entries, entries + entries % 2):
        return None
    return 2 if length % 2 == 0 and length >= 2 * (entries - MISSING) else None


def _bytes(header: Dataset, channel: str) -> bytes:
    """Return the data in the byte order of little endian."""
    keyword = f"{channel}PaletteColorLookupTableData"
    if keyword not in header:
        return b""
    element = header[keyword]
    if not isinstance(element.value, bytes):
        words = [element.value] if isinstance(element.value, int) else list(element.value or ())
        return np.array(words, np.int64).astype("<u2").tobytes()
    is_words = not header.file_meta.TransferSyntaxUID.is_little_endian and element.VR != "OB"
    if is_words and len(element.value) % 2 == 0:
        return np.frombuffer(element.value, ">u2").astype("<u2").tobytes()
    return element.value


def _narrow(tables: dict[str, tuple[Table, int]], name: str) -> U8:
    for channel, (_, width) in tables.items():
        if width != 1:
            raise _error(name, channel, "one byte an entry as in the other tables", "two")
    return np.stack([table for table, _ in tables.values()], axis=-1).astype(np.uint8)


def _eight_bits(tables: Table, bits: int, name: str) -> U8:
    """Eight significant bits of words.

    Vendors also state 16 bits and fill only the low byte, or state 8 and fill the high one.
    """
    high, low = tables >> 8, tables & 0xFF
    if bits in (8, 16) and not high.any():
        return low.astype(np.uint8)
    if bits == 16 or (bits == 8 and (not low.any() or np.array_equal(high, low))):
        return high.astype(np.uint8)
    if bits == 8 or int(tables.max()) >= 1 << bits:
        raise _error(name, "Red", f"entries of {bits} bits", f"one of {int(tables.max())}")
    return (tables >> (bits - 8)).astype(np.uint8)


def _segmented(header: Dataset, entries: int, first: int, bits: int, name: str) -> U8:
    """Let pydicom expand the segments (PS3.3 C.7.9.2) by looking up every entry once."""
    if "SegmentedRedPaletteColorLookupTableData" not in header:
        raise _error(name, "Red", f"{entries} entries of {bits} bits", "no data")
    stored = np.arange(first, first + entries, dtype=np.int32)
    try:
        table = apply_color_lut(stored, header)
    except (ValueError, IndexError, AttributeError, TypeError, KeyError, struct.error) as error:
        found = f"{type(error).__name__} on expanding (0028,1221) to (0028,1223)"
        raise _error(name, "Red", f"segments of {entries} entries", found) from error
    return _eight_bits(table[..., :3].astype(np.uint16), bits, name)


def _shown(descriptor: Descriptor) -> str:
    entries, first, bits = descriptor
    return f"{entries} entries of {bits} bits from {first} on"


def _error(name: str, channel: str, expected: str, found: str) -> InputError:
    element = CHANNELS.index(channel) + 1
    return InputError(
        "bad-palette",
        f"{name}: {channel}PaletteColorLookupTableDescriptor (0028,110{element}) and its data "
        f"(0028,120{element}): expected {expected}, found {found}",
    )
