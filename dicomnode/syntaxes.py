"""Transfer syntaxes, one row each: a file is taken in what it can be decoded from."""

from dataclasses import dataclass
from typing import Literal

from pydicom import uid

__all__ = ["SYNTAXES", "Codec", "Syntax"]

Codec = Literal[
    "native", "rle", "jpeg", "lossless jpeg", "jpeg-ls", "jpeg 2000", "htj2k",
    "mpegvideo", "h264", "hevc",
]  # fmt: skip
"""What the frames are decoded by; the last three are one stream for all frames."""


@dataclass(frozen=True)
class Syntax:
    """A transfer syntax and what decodes it."""

    uid: str
    codec: Codec


SYNTAXES = (
    Syntax(uid.ExplicitVRLittleEndian, "native"),
    Syntax(uid.ImplicitVRLittleEndian, "native"),
    Syntax(uid.DeflatedExplicitVRLittleEndian, "native"),
    Syntax(uid.ExplicitVRBigEndian, "native"),
    Syntax(uid.RLELossless, "rle"),
    Syntax(uid.JPEGLossless, "lossless jpeg"),
    Syntax(uid.JPEGLosslessSV1, "lossless jpeg"),
    Syntax(uid.JPEGLSLossless, "jpeg-ls"),
    Syntax(uid.JPEG2000Lossless, "jpeg 2000"),
    Syntax(uid.HTJ2KLossless, "htj2k"),
    Syntax(uid.HTJ2KLosslessRPCL, "htj2k"),
    Syntax(uid.JPEGBaseline8Bit, "jpeg"),
    Syntax(uid.JPEGExtended12Bit, "jpeg"),
    Syntax(uid.JPEGLSNearLossless, "jpeg-ls"),
    Syntax(uid.JPEG2000, "jpeg 2000"),
    Syntax(uid.HTJ2K, "htj2k"),
    Syntax(uid.MPEG2MPML, "mpegvideo"),
    Syntax(uid.MPEG2MPMLF, "mpegvideo"),
    Syntax(uid.MPEG2MPHL, "mpegvideo"),
    Syntax(uid.MPEG2MPHLF, "mpegvideo"),
    Syntax(uid.MPEG4HP41, "h264"),
    Syntax(uid.MPEG4HP41F, "h264"),
    Syntax(uid.MPEG4HP41BD, "h264"),
    Syntax(uid.MPEG4HP41BDF, "h264"),
    Syntax(uid.MPEG4HP422D, "h264"),
    Syntax(uid.MPEG4HP422DF, "h264"),
    Syntax(uid.MPEG4HP423D, "h264"),
    Syntax(uid.MPEG4HP423DF, "h264"),
    Syntax(uid.MPEG4HP42STEREO, "h264"),
    Syntax(uid.MPEG4HP42STEREOF, "h264"),
    Syntax(uid.HEVCMP51, "hevc"),
    Syntax(uid.HEVCM10P51, "hevc"),
)
"""Preferred first. When a sender offers several for one context, the one without loss is
taken, so that nothing is compressed on our account before it is measured."""
