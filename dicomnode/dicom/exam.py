"""A study's contrast exams: which clips belong to one injection, where their panes are, when."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicomnode.dicom.box import Box
from dicomnode.errors import Reason
from dicomnode.science.loop import Loop

__all__ = [
    "Box",
    "Clip",
    "Exam",
    "Layout",
    "LeftOut",
    "ReadSettings",
    "Study",
    "load_loop",
    "read_study",
]

Layout = Literal["side by side", "one above the other", "single"]


@dataclass(frozen=True, kw_only=True)
class ReadSettings:
    """How studies are read.

    Attributes
    ----------
    dynamic_range_db : float or None
        Log-compression range of the site's scanners; None takes the vendor's or the default.
    sample_frames : int
        Frames of a clip that are looked at to find out what it shows.
    minimum_frames : int
        A clip with fewer frames has no curve.
    injection_gap_s : float
        Clips further apart than this are not of one injection.
    """

    dynamic_range_db: float | None = None
    sample_frames: int = 16
    minimum_frames: int = 8
    injection_gap_s: float = 600.0


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One multi-frame object of an exam.

    Attributes
    ----------
    path : Path
        The file.
    header : Dataset
        Everything up to, without, PixelData. Shared: deepcopy before changing.
    frame_times_s : ndarray of float64, shape (n,)
        Seconds of each frame on the exam's clock, which starts at its first frame.
    """

    path: Path
    header: Dataset
    frame_times_s: NDArray[np.float64]

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID of the object."""
        return str(self.header.SOPInstanceUID)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A file of the study that is not analysed, and why."""

    path: Path
    sop_instance_uid: str | None
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class Exam:
    """One injection: its clips in order, the panes they share and their clock.

    Boxes are in pixels of the full image; ``spacing_mm`` is (row, column).
    """

    study_uid: str
    injection: int
    clips: tuple[Clip, ...]
    contrast: Box
    bmode: Box | None
    layout: Layout
    spacing_mm: tuple[float, float]
    colour_map: str
    dynamic_range_db: float
    dynamic_range_source: str
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def header(self) -> Dataset:
        """Header of the first clip."""
        return self.clips[0].header

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Seconds of all frames of all clips, from 0."""
        return np.concatenate([clip.frame_times_s for clip in self.clips])

    def frame_of(self, index: int) -> tuple[Clip, int]:
        """Clip and 1-based frame number within it of the exam's frame ``index`` (from 0)."""
        left = index
        for clip in self.clips:
            if 0 <= left < len(clip.frame_times_s):
                return clip, left + 1
            left -= len(clip.frame_times_s)
        raise IndexError(f"expected a frame index below {len(self.times_s)}, got {index}")


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was found in the files of one study."""

    study_uid: str
    exams: tuple[Exam, ...]
    left_out: tuple[LeftOut, ...]


def read_study(paths: Sequence[Path], settings: ReadSettings) -> Study:
    """Find the contrast exams among the files of a study; a bad file is left out with a reason."""
    raise NotImplementedError


def load_loop(exam: Exam) -> Loop:
    """Decode an exam's panes as grey level, frame by frame."""
    raise NotImplementedError
