"""JPEG of 8 bits with libjpeg-turbo, whose warnings are errors, in the colours that are stored."""

import simplejpeg

from dicomnode.dicom.decode.codestream import Codestream, ended, segments
from dicomnode.dicom.decode.entropy import check_scan
from dicomnode.dicom.decode.shape import Colour, Decoded, FrameShape

__all__ = ["decode_jpeg", "holds_rgb"]

RGB_IDS = (b"RGB", b"rgb")
NUMBERED_IDS = b"\x01\x02\x03"
START_OF_IMAGE = b"\xff\xd8"
JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
ABOUT = frozenset({*range(0xE0, 0xF0), 0xFE})
"""Markers of applications and comments: profiles, thumbnails and text, wrong ones too."""


def decode_jpeg(data: bytes, stream: Codestream, shape: FrameShape, colour: Colour) -> Decoded:
    """Decode baseline and extended JPEG.

    Raises
    ------
    ValueError
        Something is wrong with the codestream; where libjpeg would fill in grey and warn, or
        take wrong bytes for what they say, too.
    """
    data = ended(data)
    check_scan(data)
    rgb = shape.samples == 3 and holds_rgb(stream, shape.photometric)
    data = _marked(data, rgb)
    if shape.samples == 1:
        return Decoded(simplejpeg.decode_jpeg(data, "GRAY")[..., 0], shape.photometric)
    if colour == "luma" and not rgb:
        return Decoded(simplejpeg.decode_jpeg(data, "GRAY")[..., 0], "MONOCHROME2")
    return Decoded(simplejpeg.decode_jpeg(data, "RGB"), "RGB")


def holds_rgb(stream: Codestream, photometric: str) -> bool:
    """Whether the components are R, G and B; the codestream outranks the header.

    Many files state RGB and hold YCbCr. Adobe's marker says it outright; letters as component
    identifiers do; JFIF and Exif are always YCbCr; subsampled chroma cannot be RGB.
    """
    if stream.adobe_transform not in (None, 0, 1):
        raise ValueError(f"a JPEG of Adobe's transform {stream.adobe_transform}, of 4 colours")
    is_rgb = stream.adobe_transform == 0 or (
        stream.adobe_transform is None and stream.component_ids in RGB_IDS
    )
    if is_rgb and stream.is_subsampled:
        raise ValueError("a JPEG that is marked as RGB, with subsampled chroma as YCbCr has")
    if is_rgb or stream.adobe_transform is not None:
        return is_rgb
    if stream.is_jfif or stream.is_exif or stream.is_subsampled:
        return False
    return photometric == "RGB"


def _marked(data: bytes, rgb: bool) -> bytes:
    """Mark the colours in libjpeg's own terms, in place of all that does not tell of samples."""
    parts, scan = segments(data)
    kept = [
        bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body
        for marker, body in parts
        if marker not in ABOUT
    ]
    return b"".join([START_OF_IMAGE, ADOBE_RGB if rgb else JFIF, *kept, data[scan:]])
