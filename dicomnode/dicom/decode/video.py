"""MPEG-2, MPEG-4 AVC and HEVC: one stream for all frames (PS3.5 8.2.5 and on)."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.logging
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from dicomnode.dicom.decode.shape import Colour, FrameShape
from dicomnode.syntaxes import SYNTAXES

__all__ = ["VIDEO", "video_frames"]

U8 = NDArray[np.uint8]

ELEMENTARY = ("mpegvideo", "h264", "hevc")
VIDEO = {syntax.uid: syntax.codec for syntax in SYNTAXES if syntax.codec in ELEMENTARY}
"""Transfer syntaxes with one stream for all frames, and what reads it where nothing wraps it."""

START_CODE = b"\x00\x00\x01"
SEQUENCE_HEADER = b"\xb3"
"""What follows the first start code of MPEG-2 video and is no unit of H.264 or HEVC."""
TRANSPORT_PACKETS = ((0, 188), (4, 192))
"""Where a transport stream's first sync byte is, and how far the next one is from it."""
EDGE_PX = 128
"""Coded pictures may be larger than shown ones by so much on either side."""


def video_frames(
    stream: bytes, transfer_syntax: str, shape: FrameShape, colour: Colour
) -> Iterator[U8]:
    """Decode a stream frame by frame, as RGB or luma.

    The demuxer is named, never guessed: among those that would be tried are some whose "video" is
    a list of files and addresses to open.

    Raises
    ------
    ValueError
        It is no such stream, of another size, or a frame in it is damaged.
    """
    container_format = _container(stream, VIDEO[transfer_syntax])
    pixel_format = "rgb24" if colour == "rgb" else "gray"
    most = (shape.rows + EDGE_PX) * (shape.columns + EDGE_PX)
    with av.open(io.BytesIO(stream), format=container_format) as container:
        if not container.streams.video:
            raise ValueError("no video in the stream")
        context = container.streams.video[0].codec_context
        _check_size(context, shape)
        context.options = {"max_pixels": str(most), "err_detect": "crccheck"}
        for number, frame in enumerate(_sound_frames(container), start=1):
            if frame is None:
                raise ValueError(f"damage in frame {number} of the stream")
            yield frame.to_ndarray(format=pixel_format)


def _sound_frames(container: InputContainer) -> Iterator[av.VideoFrame | None]:
    """Decode packet by packet; None where one is damaged.

    Decoders paint over what they cannot read and mark few such frames, but say so in their log.
    """
    for packet in container.demux(video=0):
        with _errors() as errors:
            decoded = packet.decode()
        if packet.is_corrupt or errors:
            yield None
        for frame in decoded:
            yield None if frame.is_corrupt else frame


@contextmanager
def _errors() -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg's libraries tell as errors, from all threads of a decoder."""
    usual = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as told:
            yield told
    finally:
        av.logging.set_level(usual)


def _container(stream: bytes, elementary: str) -> str:
    """What the stream's first bytes say wraps it."""
    if stream[4:8] == b"ftyp":
        return "mp4"
    if stream.startswith(b"\x00\x00\x01\xba"):
        return "mpeg"
    for at, step in TRANSPORT_PACKETS:
        if stream[at : at + 1] == stream[at + step : at + step + 1] == b"\x47":
            return "mpegts"
    if stream.startswith((START_CODE, b"\0" + START_CODE)):
        is_mpeg_2 = stream.startswith(SEQUENCE_HEADER, stream.index(START_CODE) + len(START_CODE))
        if is_mpeg_2 != (elementary == "mpegvideo"):
            found = "begins as MPEG-2 does" if is_mpeg_2 else "does not begin as MPEG-2 does"
            raise ValueError(f"a stream that {found}, against TransferSyntaxUID (0002,0010)")
        return elementary
    raise ValueError("no video stream: it begins as none of MP4, MPEG-TS, MPEG-PS or a start code")


def _check_size(context: av.VideoCodecContext, shape: FrameShape) -> None:
    if (context.height, context.width) != (shape.rows, shape.columns):
        raise ValueError(
            f"a stream of {context.height} × {context.width} pixels instead of "
            f"Rows (0028,0010) {shape.rows} × Columns (0028,0011) {shape.columns}"
        )
