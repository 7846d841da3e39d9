"""From the samples a file holds to RGB or luma: palettes, YBR, planes (PS3.3 C.7.6.3.1)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from dicomnode.dicom.decode.palette import palette_of
from dicomnode.dicom.decode.shape import Colour, Samples, is_signed
from dicomnode.dicom.elements import Elements
from dicomnode.errors import InputError

__all__ = ["converter", "luma"]

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
    signed = is_signed(Elements(dataset=header, file=name))

    def convert(samples: Samples) -> U8:
        stored = samples.view(f"i{samples.itemsize}") if signed else samples
        return values[np.clip(stored.astype(np.int32) - first, 0, last)]

    return convert
