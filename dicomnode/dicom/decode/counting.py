"""The count of frames in PixelData, whatever NumberOfFrames (0028,0008) says."""

import av

from dicomnode.dicom.decode.fragments import (
    BEGINNINGS,
    group_by_marker,
    joined,
    read_fragments,
)
from dicomnode.dicom.decode.native import frame_bytes
from dicomnode.dicom.decode.place import PIXEL_DATA, find_pixels
from dicomnode.dicom.decode.shape import frame_shape
from dicomnode.dicom.decode.video import VIDEO, video_frames
from dicomnode.dicom.header import Header
from dicomnode.errors import InputError

__all__ = ["stored_frames"]

RLE = "1.2.840.10008.1.2.5"
"""Each frame is one fragment (PS3.5 A.4.2)."""


def stored_frames(header: Header) -> int:
    """Count the frames that PixelData holds."""
    place = find_pixels(header)
    if not header.transfer_syntax.is_encapsulated:
        return len(place.native) // frame_bytes(frame_shape(header))
    offsets, fragments = read_fragments(place.data, place.start, header.path.name)
    if str(header.transfer_syntax) in VIDEO:
        return _count_video(header, joined(place.data, fragments))
    if str(header.transfer_syntax) == RLE:
        return len(fragments)
    begun = sum(place.data[part.start : part.start + 2] in BEGINNINGS for part in fragments)
    return max(len(offsets), len(group_by_marker(place.data, fragments)), begun)


def _count_video(header: Header, stream: bytes) -> int:
    syntax, seen = str(header.transfer_syntax), 0
    try:
        for _ in video_frames(stream, syntax, frame_shape(header), "luma"):
            seen += 1
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            "corrupt-fragment",
            f"{header.path.name}: {PIXEL_DATA}: expected frame {seen + 1} as "
            f"{header.transfer_syntax.name}, found {error}",
        ) from error
    return seen
