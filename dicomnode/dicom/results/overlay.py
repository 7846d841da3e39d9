"""The source loop with the findings painted over it, as a derived colour clip any PACS can play.

What the scanner showed is shown in grey, so that all colour is ours. Pictures are planes of YCbCr,
as JPEG stores them: neither decoding nor encoding has to look at any colour but what was painted.
"""

import struct
import tempfile
from collections.abc import Iterable, Iterator
from copy import copy
from pathlib import Path
from typing import IO, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage
from simplejpeg import encode_jpeg_yuv_planes

from dicomnode.dicom.context import RESEARCH_USE, Context, laterality, stamp
from dicomnode.dicom.decode import Damaged, frame_shape, frames_or_damage
from dicomnode.dicom.exam import Clip, Exam
from dicomnode.dicom.header import read_header
from dicomnode.dicom.limits import LONGEST_SHORT_VALUE
from dicomnode.dicom.references import source_image
from dicomnode.errors import OutputError

__all__ = ["Painter", "Planes", "painted", "write_frames", "write_loop"]

Plane: TypeAlias = NDArray[np.uint8]
Planes: TypeAlias = tuple[Plane, Plane]
"""Luma (R, C), then Cb and Cr (2, R, (C + 1) // 2): one sample for two pixels side by side."""

QUALITY = 90
NO_COLOUR = 128
"""Cb and Cr of grey."""
PAINTED = "Perfusion sub-regions painted over the loop, all else of it in grey."
ITEM = b"\xfe\xff\x00\xe0"


class Painter(Protocol):
    """Paints findings over grey frames."""

    def paint(self, luma: Plane, chroma: Plane, frame: int) -> None:
        """Paint over the planes of a frame in place; ``frame`` counts the exam's from 0."""

    def banner(self, width: int) -> Planes:
        """Return a strip of this width that goes below every frame."""


def write_loop(path: Path, exam: Exam, context: Context, painter: Painter) -> Dataset:
    """Write the painted loop of an exam to ``path``, frame by frame; return its header."""
    source = (frame for clip in exam.clips for frame in _shown(clip))
    return write_frames(path, exam, context, painted(painter, source))


def _shown(clip: Clip) -> Iterator[Plane]:
    """Luma of a clip's frames; black where one is damaged."""
    header = read_header(clip.path)
    shape = frame_shape(header)
    for frame in frames_or_damage(header, colour="luma"):
        if isinstance(frame, Damaged):
            frame = np.zeros((shape.rows, shape.columns), np.uint8)
        yield frame


def painted(painter: Painter, frames: Iterable[Plane]) -> Iterator[Planes]:
    """Paint whole frames of an exam and put the banner below them.

    Parameters
    ----------
    frames : iterable of ndarray of uint8, shape (R, C)
        Luma.

    Yields
    ------
    Planes
        Of R + H rows; the same arrays each time: use them before asking for the next.
    """
    canvas: Planes | None = None
    for number, frame in enumerate(frames):
        rows, columns = frame.shape
        canvas = canvas or _canvas(rows, painter.banner(columns))
        luma, chroma = canvas
        luma[:rows], chroma[:, :rows] = frame, NO_COLOUR
        painter.paint(luma[:rows], chroma[:, :rows], number)
        yield canvas


def _canvas(rows: int, banner: Planes) -> Planes:
    """Return planes with so many rows above a banner."""
    luma, chroma = banner
    return np.pad(luma, ((rows, 0), (0, 0))), np.pad(chroma, ((0, 0), (rows, 0), (0, 0)))


def write_frames(path: Path, exam: Exam, context: Context, frames: Iterable[Planes]) -> Dataset:
    """Encode frames as they come and write one object; return it.

    JPEG baseline, YBR_FULL_422. Only compressed frames are kept, in a temporary file beside
    ``path``.
    """
    expected = len(exam.times_s)
    with tempfile.TemporaryFile(dir=path.parent) as stream:
        stream.write(ITEM + struct.pack("<I", 4 * expected) + bytes(4 * expected))
        lengths, shape = _encode(stream, frames)
        if len(lengths) != expected:
            raise OutputError(
                f"overlay: expected {expected} frames, one per frame of the exam, "
                f"got {len(lengths)}"
            )
        stream.seek(len(ITEM) + 4)
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype("<u4")
        stream.write(offsets.tobytes())
        ratio = expected * shape[0] * shape[1] * 3 / sum(lengths)
        dataset = _header(exam, context, shape, ratio)
        _save(path, dataset, stream)
    return dataset


def _encode(stream: IO[bytes], frames: Iterable[Planes]) -> tuple[list[int], tuple[int, int]]:
    """Append each frame as one fragment; return the items' lengths and the frames' shape."""
    lengths, shape = [], (0, 0)
    for luma, (blue, red) in frames:
        data = encode_jpeg_yuv_planes(luma, blue, red, QUALITY)
        data += b"\0" * (len(data) % 2)
        stream.write(ITEM + struct.pack("<I", len(data)) + data)
        lengths.append(8 + len(data))
        shape = (luma.shape[0], luma.shape[1])
    return lengths, shape


def _header(exam: Exam, context: Context, shape: tuple[int, int], ratio: float) -> Dataset:
    dataset = Dataset()
    stamp(dataset, context, "overlay", UltrasoundMultiFrameImageStorage)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = f"{PAINTED} {RESEARCH_USE}"
    dataset.ImageComments = RESEARCH_USE
    burned_in = exam.header.get("BurnedInAnnotation")
    dataset.BurnedInAnnotation = burned_in if burned_in in ("YES", "NO") else "YES"
    dataset.PatientOrientation = None
    dataset.Laterality = laterality(context.header)  # type 2C: empty where it is not known
    dataset.SourceImageSequence = [source_image(clip.header) for clip in exam.clips]
    _describe_pixels(dataset, shape, ratio)
    _describe_time(dataset, exam.times_s)
    return dataset


def _describe_pixels(dataset: Dataset, shape: tuple[int, int], ratio: float) -> None:
    dataset.Rows, dataset.Columns = shape
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.UltrasoundColorDataPresent = 1
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = f"{ratio:.1f}"
    dataset.LossyImageCompressionMethod = "ISO_10918_1"


def _describe_time(dataset: Dataset, times_s: NDArray[np.float64]) -> None:
    """Write Frame Time where frames are evenly spaced, else Frame Time Vector (PS3.3 C.7.6.5).

    A vector too long for its value representation becomes the mean Frame Time: the loop is for
    looking at, its source is for measuring.
    """
    dataset.NumberOfFrames = len(times_s)
    steps_ms = np.diff(np.round(1000 * times_s, 1), prepend=round(1000 * times_s[0], 1))
    vector = [f"{step:.1f}" for step in steps_ms]
    even = np.ptp(steps_ms[1:]) <= 1.0 if len(steps_ms) > 1 else True
    if even or len("\\".join(vector)) > LONGEST_SHORT_VALUE:
        mean_ms = 1000 * (times_s[-1] - times_s[0]) / max(len(times_s) - 1, 1)
        dataset.FrameTime = f"{mean_ms:.3f}"
        dataset.FrameIncrementPointer = tag_for_keyword("FrameTime")
    else:
        dataset.FrameTimeVector = vector
        dataset.FrameIncrementPointer = tag_for_keyword("FrameTimeVector")


def _save(path: Path, dataset: Dataset, stream: IO[bytes]) -> None:
    """Write the object, its frames copied from the stream in pieces."""
    stream.seek(0)
    whole = copy(dataset)
    whole.PixelData = stream
    whole["PixelData"].VR = "OB"
    whole["PixelData"].is_undefined_length = True
    whole.save_as(path, enforce_file_format=True)
