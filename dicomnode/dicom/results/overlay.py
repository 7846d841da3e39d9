"""The source loop with the findings painted over it, as a derived colour clip any PACS can play.

What the scanner showed is shown in grey, so that all colour is ours. Pictures are YCbCr, as JPEG
stores them: neither decoding nor encoding has to look at any colour but what was painted.
"""

import struct
import tempfile
from collections.abc import Iterable, Iterator
from copy import copy
from pathlib import Path
from typing import IO, Protocol

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

from dicomnode.dicom.context import RESEARCH_USE, Context, laterality, stamp
from dicomnode.dicom.decode import frames as decoded
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.limits import LONGEST_SHORT_VALUE
from dicomnode.dicom.references import source_image
from dicomnode.errors import OutputError

__all__ = ["Painter", "painted", "write_frames", "write_loop"]

Picture = NDArray[np.uint8]

QUALITY = 90
NO_COLOUR = 128
"""Cb and Cr of grey."""
PAINTED = "Perfusion sub-regions painted over the loop, all else of it in grey."
ITEM = b"\xfe\xff\x00\xe0"


class Painter(Protocol):
    """Paints panes (R, C, 3) of YCbCr in place; ``frame`` counts the exam's frames from 0."""

    def contrast(self, pane: Picture, frame: int) -> None:
        """Paint over the contrast pane."""

    def bmode(self, pane: Picture, frame: int) -> None:
        """Paint over the B-mode pane."""

    def banner(self, width: int) -> Picture:
        """Return a strip (H, width, 3) that goes below every frame."""


def write_loop(path: Path, exam: Exam, context: Context, painter: Painter) -> Dataset:
    """Write the painted loop of an exam to ``path``, frame by frame; return its header."""
    source = (frame for clip in exam.clips for frame in decoded(clip.path, colour="luma"))
    return write_frames(path, exam, context, painted(exam, painter, source))


def painted(exam: Exam, painter: Painter, frames: Iterable[Picture]) -> Iterator[Picture]:
    """Paint whole frames of an exam and put the banner below them.

    Parameters
    ----------
    frames : iterable of ndarray of uint8, shape (Rows, Columns)
        Luma.

    Yields
    ------
    ndarray of uint8, shape (Rows + H, Columns, 3)
        YCbCr; the same array each time: use it before asking for the next.
    """
    rows, columns = int(exam.header.Rows), int(exam.header.Columns)
    grey = np.full((rows, columns, 3), NO_COLOUR, np.uint8)
    canvas = np.concatenate([grey, painter.banner(columns)])
    for number, frame in enumerate(frames):
        canvas[:rows] = grey
        canvas[:rows, :, 0] = frame
        painter.contrast(canvas[exam.contrast.slices], number)
        if exam.bmode is not None:
            painter.bmode(canvas[exam.bmode.slices], number)
        yield canvas


def write_frames(path: Path, exam: Exam, context: Context, frames: Iterable[Picture]) -> Dataset:
    """Encode frames (R, C, 3) of YCbCr as they come and write one object; return it.

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


def _encode(stream: IO[bytes], frames: Iterable[Picture]) -> tuple[list[int], tuple[int, int]]:
    """Append each frame as one fragment; return the items' lengths and the frames' shape."""
    lengths, shape = [], (0, 0)
    for frame in frames:
        data = imagecodecs.jpeg8_encode(
            frame, level=QUALITY, colorspace="YCBCR", outcolorspace="YCBCR", subsampling="422"
        )
        data += b"\0" * (len(data) % 2)
        stream.write(ITEM + struct.pack("<I", len(data)) + data)
        lengths.append(8 + len(data))
        shape = (frame.shape[0], frame.shape[1])
    return lengths, shape


def _header(exam: Exam, context: Context, shape: tuple[int, int], ratio: float) -> Dataset:
    dataset = Dataset()
    stamp(dataset, context, "overlay", UltrasoundMultiFrameImageStorage)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = f"{PAINTED} {RESEARCH_USE}"
    dataset.ImageComments = RESEARCH_USE
    dataset.BurnedInAnnotation = exam.header.get("BurnedInAnnotation") or "YES"
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
