"""One compressed frame to samples: which library reads which transfer syntax (PS3.5 A.4)."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import imagecodecs

from dicomnode.dicom.decode.codestream import (
    Codestream,
    check_size,
    ended,
    read_jpeg,
    read_jpeg_2000,
)
from dicomnode.dicom.decode.jpeg import decode_jpeg, holds_rgb
from dicomnode.dicom.decode.rle import decode_rle
from dicomnode.dicom.decode.shape import Colour, Decoded, FrameShape
from dicomnode.syntaxes import SYNTAXES

__all__ = ["CODECS", "decode"]


@dataclass(frozen=True)
class Codec:
    """How a codestream says its size, and what decodes it."""

    header: Callable[[bytes], Codestream]
    decode: Callable[[bytes, Codestream, FrameShape, Colour], Decoded]


def decode(transfer_syntax: str, data: bytes, shape: FrameShape, colour: Colour) -> Decoded:
    """Decode one frame; where ``colour`` is luma, a JPEG's colour planes are left alone.

    Raises
    ------
    ValueError, RuntimeError, TypeError
        The codestream is damaged, or is not of the frame that the header describes.
    """
    codec = CODECS[transfer_syntax]
    if codec is None:
        return decode_rle(data, shape)
    stream = codec.header(data)
    check_size(stream, shape)
    return codec.decode(data, stream, shape, colour)


def _lossless_jpeg(data: bytes, stream: Codestream, shape: FrameShape, _: Colour) -> Decoded:
    return Decoded(imagecodecs.jpegsof3_decode(data), _stored(stream, shape))


def _jpeg_ls(data: bytes, stream: Codestream, shape: FrameShape, _: Colour) -> Decoded:
    return Decoded(imagecodecs.jpegls_decode(ended(data)), _stored(stream, shape))


def _stored(stream: Codestream, shape: FrameShape) -> str:
    """Photometric interpretation of samples that the decoder leaves as they are stored."""
    if shape.samples == 1:
        return shape.photometric
    if holds_rgb(stream, shape.photometric):
        return "RGB"
    return "YBR_FULL" if shape.photometric == "RGB" else shape.photometric


def _jpeg_2000(data: bytes, _: Codestream, shape: FrameShape, __: Colour) -> Decoded:
    return Decoded(imagecodecs.jpeg2k_decode(data), _after_wavelet(shape.photometric))


def _htj2k(data: bytes, _: Codestream, shape: FrameShape, __: Colour) -> Decoded:
    """Decode HTJ2K, whose errors imagecodecs cannot raise: it returns samples never written."""
    swallowed: list[object] = []
    usual = sys.unraisablehook
    sys.unraisablehook = lambda told: swallowed.append(told.exc_type)
    try:
        samples = imagecodecs.htj2k_decode(data)
    finally:
        sys.unraisablehook = usual
    if swallowed:
        raise ValueError("an HTJ2K codestream that cannot be decoded to its end")
    return Decoded(samples, _after_wavelet(shape.photometric))


def _after_wavelet(photometric: str) -> str:
    """The decoder undoes the reversible and irreversible colour transforms itself."""
    return "RGB" if photometric in ("YBR_RCT", "YBR_ICT") else photometric


_BY_NAME: Mapping[str, Codec | None] = {
    "jpeg": Codec(read_jpeg, decode_jpeg),
    "lossless jpeg": Codec(read_jpeg, _lossless_jpeg),
    "jpeg-ls": Codec(read_jpeg, _jpeg_ls),
    "jpeg 2000": Codec(read_jpeg_2000, _jpeg_2000),
    "htj2k": Codec(read_jpeg_2000, _htj2k),
    "rle": None,
}
CODECS = {syntax.uid: _BY_NAME[syntax.codec] for syntax in SYNTAXES if syntax.codec in _BY_NAME}
"""Transfer syntaxes with one codestream a frame; None for RLE, which states no size."""
