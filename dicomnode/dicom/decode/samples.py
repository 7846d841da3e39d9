"""From the samples a file holds to RGB or luma: palettes, YBR, planes (PS3.3 C.7.6.3.1)."""

import struct
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from dicomnode.errors import InputError

__all__ = ["Colour", "Samples", "converter", "luma"]

Colour = Literal["rgb", "luma"]
Samples = NDArray[np.uint8] | NDArray[np.uint16]
U8 = NDArray[np.uint8]
Convert = Callable[[Samples], U8]


def luma(rgb: U8) -> U8:
    """Rec. 601 luma of (..., 3) pixels, rounded; equal channels keep their value."""
    row = np.ascontiguousarray(rgb, np.uint8).reshape(1, -1, 3)
    return np.asarray(Image.fromarray(row).convert("L")).reshape(rgb.shape[:-1])


def _ybr_to_rgb(ybr: Samples) -> U8:
    """YBR_FULL to RGB, PS3.3 C.7.6.3.1.2."""
    y = ybr[..., 0].astype(np.float32)
    cb = ybr[..., 1].astype(np.float32) - 128
    cr = ybr[..., 2].astype(np.float32) - 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.asarray(np.clip(np.rint(rgb), 0, 255), np.uint8)


def _grey(samples: Samples, colour: Colour) -> U8:
    grey = samples.astype(np.uint8, copy=False)
    return grey if colour == "luma" else np.repeat(grey[..., None], 3, axis=-1)


def _first_channel(samples: Samples) -> U8:
    return np.ascontiguousarray(samples[..., 0], dtype=np.uint8)


def _as_rgb(samples: Samples) -> U8:
    return samples.astype(np.uint8, copy=False)


def _of_rgb(samples: Samples) -> U8:
    return luma(_as_rgb(samples))


def converter(header: Dataset, photometric: str, colour: Colour, name: str) -> Convert:
    """Choose the function that turns one frame's samples into ``colour``."""
    table: dict[str, tuple[Convert, Convert]] = {
        "MONOCHROME1": (
            lambda samples: _grey(255 - samples, "rgb"),
            lambda samples: _grey(255 - samples, "luma"),
        ),
        "MONOCHROME2": (
            lambda samples: _grey(samples, "rgb"),
            lambda samples: _grey(samples, "luma"),
        ),
        "RGB": (_as_rgb, _of_rgb),
        "YBR_FULL": (_ybr_to_rgb, _first_channel),
        "YBR_FULL_422": (_ybr_to_rgb, _first_channel),
    }
    if photometric == "PALETTE COLOR":
        return _palette_converter(header, colour, name)
    if photometric not in table:
        raise InputError(
            "unsupported-photometric",
            f"{name}: expected PhotometricInterpretation (0028,0004) to be one of "
            f"{', '.join(table)}, PALETTE COLOR, found {photometric!r}",
        )
    return table[photometric][0 if colour == "rgb" else 1]


def _palette_converter(header: Dataset, colour: Colour, name: str) -> Convert:
    palette, first = palette_of(header, name)
    values: U8 = palette if colour == "rgb" else luma(palette)
    last = len(values) - 1

    def convert(samples: Samples) -> U8:
        index = np.clip(samples.astype(np.int32) - first, 0, last)
        return values[index]

    return convert


def palette_of(header: Dataset, name: str) -> tuple[U8, int]:
    """Palette (N, 3) as 8-bit RGB and the stored value of its first entry (PS3.3 C.7.6.3.1.5)."""
    if "SegmentedRedPaletteColorLookupTableData" in header:
        return _segmented_palette(header, name)
    channels = [_palette_channel(header, channel, name) for channel in ("Red", "Green", "Blue")]
    if len({len(values) for values in channels}) != 1:
        raise _palette_error(name, "Red", "three tables of one length", "different lengths")
    return np.stack(channels, axis=-1), int(header.RedPaletteColorLookupTableDescriptor[1])


def _segmented_palette(header: Dataset, name: str) -> tuple[U8, int]:
    """Let pydicom expand the segments (PS3.3 C.7.9.2) by looking up every entry once."""
    descriptor = _descriptor(header, "Red", name)
    entries, first = descriptor[0] or 65536, descriptor[1]
    stored = np.arange(first, first + entries, dtype=np.int32)
    try:
        table = apply_color_lut(stored, header)
    except (ValueError, IndexError, AttributeError, struct.error) as error:
        raise _palette_error(name, "Red", "readable segments", str(error)) from error
    return _eight_bits(table[..., :3], descriptor[2]), first


def _palette_channel(header: Dataset, channel: str, name: str) -> U8:
    entries, _, bits = _descriptor(header, channel, name)
    entries = entries or 65536
    data = header.get(f"{channel}PaletteColorLookupTableData") or b""
    if len(data) >= entries * 2:
        order = "<u2" if header.file_meta.TransferSyntaxUID.is_little_endian else ">u2"
        return _eight_bits(np.frombuffer(data, order, entries), bits)
    if len(data) < entries:
        raise _palette_error(name, channel, f"{entries} entries", f"{len(data)} bytes")
    return np.frombuffer(data, np.uint8, entries)


def _descriptor(header: Dataset, channel: str, name: str) -> tuple[int, int, int]:
    descriptor = header.get(f"{channel}PaletteColorLookupTableDescriptor")
    if descriptor is None or len(descriptor) != 3:
        raise _palette_error(name, channel, "a descriptor of 3 values", str(descriptor))
    entries, first, bits = (int(value) for value in descriptor)
    return entries, first, bits


def _eight_bits(table: Samples, bits: int) -> U8:
    """Eight significant bits; vendors also state 16 and fill only the low byte."""
    is_low_byte = bits == 8 or int(table.max(initial=0)) < 256
    return (table if is_low_byte else table >> 8).astype(np.uint8)


def _palette_error(name: str, channel: str, expected: str, found: str) -> InputError:
    element = {"Red": 1, "Green": 2, "Blue": 3}[channel]
    return InputError(
        "bad-palette",
        f"{name}: {channel}PaletteColorLookupTableDescriptor (0028,110{element}) and its data "
        f"(0028,120{element}): expected {expected}, found {found}",
    )
