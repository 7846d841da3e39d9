"""The samples of a frame, as the header states them and as decoding gives them."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.dicom.header import Header

__all__ = [
    "Colour",
    "Decoded",
    "FrameShape",
    "Samples",
    "frame_shape",
    "is_signed",
    "number_of_frames",
]

Colour = Literal["rgb", "luma"]
Samples = NDArray[np.uint8] | NDArray[np.uint16]

MOST_FRAMES = 2**31 - 1
"""What an integer string may say (PS3.5 6.2)."""
MOST_PIXELS = 1 << 26
"""Pixels of an image, eight times those of the largest screens; more is a mistake or an attack."""
SAMPLES_OF = {
    **dict.fromkeys(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422"), 3),
    **dict.fromkeys(("YBR_ICT", "YBR_RCT"), 3),
}
"""Samples of a pixel by photometric interpretation (PS3.3 C.7.6.3.1.2)."""


@dataclass(frozen=True, kw_only=True)
class FrameShape:
    """What the header says a frame is made of."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    photometric: str

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """Sample type; larger allocations are refused before decoding."""
        return np.dtype(np.uint8) if self.bits_allocated == 8 else np.dtype(np.uint16)

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, samples)."""
        pixels = (self.rows, self.columns)
        return pixels if self.samples == 1 else (*pixels, self.samples)


@dataclass(frozen=True)
class Decoded:
    """Samples of a frame and the photometric interpretation they are in after decoding."""

    samples: Samples
    photometric: str


def number_of_frames(header: Header) -> int:
    """NumberOfFrames, 1 where a single-frame object has none."""
    if not header.elements.states("NumberOfFrames"):
        return 1
    elements = replace(header.elements, code="no-frames")
    return elements.whole("NumberOfFrames", 1, MOST_FRAMES)


def frame_shape(header: Header) -> FrameShape:
    """Size and sample layout, checked against what ultrasound may be (PS3.3 C.8.5.6)."""
    elements = replace(header.elements, code="no-image")
    rows, columns = (elements.whole(keyword, 1, 65535) for keyword in ("Rows", "Columns"))
    if rows * columns > MOST_PIXELS:
        expected = f"at most {MOST_PIXELS} pixels"
        found = f"{rows} × {tag_text('Columns')} {columns}"
        raise elements.wrong("Rows", expected, found, "too-large")
    photometric = elements.text("PhotometricInterpretation")
    if not photometric:
        raise elements.wrong("PhotometricInterpretation", "a value", "none")
    return FrameShape(
        rows=rows,
        columns=columns,
        samples=_samples(header, photometric),
        bits_allocated=_bits(header, photometric),
        photometric=photometric,
    )


def _bits(header: Header, photometric: str) -> int:
    """Bits allocated, of which all are stored unless they are a palette's (PS3.5 8.1.1)."""
    elements = replace(header.elements, code="unsupported-bits")
    bits = elements.whole("BitsAllocated", 1, 65535)
    is_palette = photometric == "PALETTE COLOR"
    if bits not in (8, 16) or (bits == 16 and not is_palette):
        raise elements.wrong("BitsAllocated", "8 bits, or 16 with a palette", bits)
    stored = bits
    if elements.states("BitsStored"):
        stored = elements.whole("BitsStored", 1 if is_palette else bits, bits)
    if elements.states("HighBit"):
        elements.whole("HighBit", stored - 1, stored - 1)
    if not is_palette and is_signed(elements):
        raise elements.wrong("PixelRepresentation", "0, unsigned samples", "1", "signed-samples")
    return bits


def is_signed(elements: Elements) -> bool:
    """Whether stored values are below 0 where the top bit is set."""
    if not elements.states("PixelRepresentation"):
        return False
    return elements.whole("PixelRepresentation", 0, 1) == 1


def _samples(header: Header, photometric: str) -> int:
    elements = replace(header.elements, code="unsupported-samples")
    stated = elements.states("SamplesPerPixel")
    samples = elements.whole("SamplesPerPixel", 0, 65535) if stated else 1
    if samples not in (1, 3):
        raise elements.wrong("SamplesPerPixel", "1 or 3", samples)
    if samples != SAMPLES_OF.get(photometric, samples):
        expected = f"{SAMPLES_OF[photometric]}, as {tag_text('PhotometricInterpretation')}"
        found = samples if stated else "none"
        raise elements.wrong("SamplesPerPixel", f"{expected} {photometric} has", found)
    return samples
