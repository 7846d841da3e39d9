"""One compressed frame to samples: which library reads which transfer syntax (PS3.5 A.4)."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.decode.samples import Colour, Samples

__all__ = ["CODECS", "LUMA_CODECS", "VIDEO", "Decoded", "FrameShape", "video_frames"]

U8 = NDArray[np.uint8]
JFIF_OR_EXIF = (b"\xff\xe0", b"\xff\xe1")
ADOBE = b"Adobe\x00"


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


Codec = Callable[[bytes, FrameShape], Decoded]


def _jpeg(data: bytes, shape: FrameShape) -> Decoded:
    """Baseline and extended JPEG with libjpeg-turbo."""
    if shape.samples == 1:
        return Decoded(imagecodecs.jpeg8_decode(data), shape.photometric)
    stored = "RGB" if _holds_rgb(data, shape.photometric) else "YCbCr"
    return Decoded(imagecodecs.jpeg8_decode(data, colorspace=stored, outcolorspace="RGB"), "RGB")


def _jpeg_luma(data: bytes, shape: FrameShape) -> Decoded:
    """Luma of a JPEG in YCbCr without touching its colour planes."""
    if shape.samples == 1 or _holds_rgb(data, shape.photometric):
        return _jpeg(data, shape)
    grey = imagecodecs.jpeg8_decode(data, colorspace="YCbCr", outcolorspace="GRAYSCALE")
    return Decoded(grey, "MONOCHROME2")


def _holds_rgb(data: bytes, photometric: str) -> bool:
    """Whether the JPEG's components are R, G and B: its own markers outrank the header.

    Many files state RGB and hold YCbCr; the JFIF marker, or Adobe's transform byte, tells.
    """
    adobe = data.find(ADOBE, 0, 512)
    if adobe >= 0 and len(data) > adobe + 11:
        return data[adobe + 11] == 0
    return photometric == "RGB" and data[2:4] not in JFIF_OR_EXIF


def _lossless_jpeg(data: bytes, shape: FrameShape) -> Decoded:
    return Decoded(imagecodecs.jpegsof3_decode(data), shape.photometric)


def _jpeg_ls(data: bytes, shape: FrameShape) -> Decoded:
    return Decoded(imagecodecs.jpegls_decode(data), shape.photometric)


def _jpeg_2000(data: bytes, shape: FrameShape) -> Decoded:
    return Decoded(imagecodecs.jpeg2k_decode(data), _after_wavelet(shape.photometric))


def _htj2k(data: bytes, shape: FrameShape) -> Decoded:
    return Decoded(imagecodecs.htj2k_decode(data), _after_wavelet(shape.photometric))


def _after_wavelet(photometric: str) -> str:
    """The decoder undoes the reversible and irreversible colour transforms itself."""
    return "RGB" if photometric in ("YBR_RCT", "YBR_ICT") else photometric


def _rle(data: bytes, shape: FrameShape) -> Decoded:
    """RLE gives one plane after another, each sample's bytes already joined (PS3.5 G)."""
    raw = imagecodecs.dicomrle_decode(data, shape.dtype)
    is_narrow = shape.bits_allocated == 8
    planes: Samples = np.frombuffer(raw, np.uint8) if is_narrow else np.frombuffer(raw, np.uint16)
    if shape.samples == 1:
        return Decoded(planes.reshape(shape.rows, shape.columns), shape.photometric)
    cube = planes.reshape(shape.samples, shape.rows, shape.columns)
    return Decoded(np.moveaxis(cube, 0, -1), shape.photometric)


CODECS: dict[str, Codec] = {
    "1.2.840.10008.1.2.4.50": _jpeg,
    "1.2.840.10008.1.2.4.51": _jpeg,
    "1.2.840.10008.1.2.4.57": _lossless_jpeg,
    "1.2.840.10008.1.2.4.70": _lossless_jpeg,
    "1.2.840.10008.1.2.4.80": _jpeg_ls,
    "1.2.840.10008.1.2.4.81": _jpeg_ls,
    "1.2.840.10008.1.2.4.90": _jpeg_2000,
    "1.2.840.10008.1.2.4.91": _jpeg_2000,
    "1.2.840.10008.1.2.4.201": _htj2k,
    "1.2.840.10008.1.2.4.202": _htj2k,
    "1.2.840.10008.1.2.4.203": _htj2k,
    "1.2.840.10008.1.2.5": _rle,
}
"""Transfer syntaxes with one codestream a frame."""

LUMA_CODECS: dict[str, Codec] = {
    **CODECS,
    "1.2.840.10008.1.2.4.50": _jpeg_luma,
    "1.2.840.10008.1.2.4.51": _jpeg_luma,
}
"""The same where only luma is wanted."""

VIDEO = frozenset(
    f"1.2.840.10008.1.2.4.{number}{fragmentable}"
    for number in (102, 103, 104, 105, 106, 107, 108)
    for fragmentable in (("", ".1") if number <= 106 else ("",))
)
"""MPEG-4 AVC and HEVC: one stream for all frames (PS3.5 8.2.7 and on)."""


def video_frames(stream: bytes, colour: Colour) -> Iterator[U8]:
    """Decode an H.264 or HEVC stream frame by frame, as RGB or luma."""
    pixel_format = "rgb24" if colour == "rgb" else "gray"
    with av.open(io.BytesIO(stream)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format=pixel_format)
