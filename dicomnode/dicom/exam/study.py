"""A study's contrast exams: which clips belong to one injection, where their panes are, when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicomnode.dicom.box import Box
from dicomnode.dicom.elements import tag_text
from dicomnode.dicom.exam.clip import InspectedClip, LeftOut, inspect_clip, unforeseen
from dicomnode.dicom.exam.display_properties import display_properties
from dicomnode.dicom.exam.dynamic_range import ByModel, dynamic_range_db, warn_of_source
from dicomnode.dicom.exam.injections import Injection, sort_into_injections
from dicomnode.dicom.exam.layout import Layout
from dicomnode.dicom.exam.panes import Panes
from dicomnode.dicom.exam.regions import Region
from dicomnode.dicom.fitting import fitting
from dicomnode.dicom.header import read_header
from dicomnode.errors import InputError, Reason

__all__ = ["Clip", "Exam", "ReadSettings", "Study", "read_study"]

SAME_SCALE = 0.02
"""Panes whose pixel spacings differ by less show the same place in the same pixels."""
WITHIN = 0.5
"""Share of a pane from which it lies in a region."""


@dataclass(frozen=True, kw_only=True)
class ReadSettings:
    """How studies are read.

    Attributes
    ----------
    dynamic_range_db : float or None
        Log-compression range of all the site's scanners; None takes the header's, that of
        ``dynamic_range_by_model`` or the default.
    dynamic_range_by_model : mapping of str to float
        The same by scanner, "Manufacturer Model" as in its headers.
    sample_frames : int
        Frames of a clip that are looked at to find out what it shows.
    minimum_frames : int
        A clip with fewer frames has no curve.
    injection_gap_s : float
        Clips further apart than this are not of one injection.
    """

    dynamic_range_db: float | None = None
    dynamic_range_by_model: ByModel = field(default_factory=dict)
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
        Everything up to, without, PixelData, that is of its own representation. Shared: deepcopy
        before changing.
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
    grey_of_luma: NDArray[np.uint8] = field(default_factory=lambda: np.arange(256, dtype=np.uint8))
    """Grey level of the contrast pane for each luma: undoes its colour map."""
    graphics: NDArray[np.bool_] | None = None
    """(R, C) of a pane: burned-in ink, in either of them."""
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


def read_study(
    paths: Sequence[Path], settings: ReadSettings, broken: Mapping[Path, Reason] | None = None
) -> Study:
    """Find the contrast exams among the files of a study.

    Never raises for a bad file: it is left out with a reason, whatever is wrong with it, and the
    others are read as if it were not there. Without any exam the reasons say what each file was.
    ``broken`` are files that turned out to be unusable when they were decoded: left out, too.
    """
    with catch_warnings():
        simplefilter(
            "ignore"
        )  # pydicom's quote what they warn of; a header's are told by its reader
        return _study(paths, settings, broken or {})


def _study(paths: Sequence[Path], settings: ReadSettings, broken: Mapping[Path, Reason]) -> Study:
    clips: dict[str, InspectedClip] = {}
    left_out = [
        LeftOut(path=path, sop_instance_uid=None, reason=reason) for path, reason in broken.items()
    ]
    for path in paths:
        if path in broken:
            continue
        clip = _inspected(path, settings)
        if isinstance(clip, LeftOut):
            left_out.append(clip)
        elif clip.sop_instance_uid in clips:
            twice = Reason("duplicate", "not analysed: the same SOP Instance UID was read before")
            left_out.append(_left_out(clip, twice))
        else:
            clips[clip.sop_instance_uid] = clip
    exams, misfits = _exams(list(clips.values()), settings)
    left_out += misfits
    left_out.sort(key=lambda file: paths.index(file.path))
    return Study(
        study_uid=_study_uid(paths),
        exams=tuple(replace(exam, left_out=tuple(left_out)) for exam in exams),
        left_out=tuple(left_out),
    )


def _inspected(path: Path, settings: ReadSettings) -> InspectedClip | LeftOut:
    """Look at a file behind a boundary: what nobody foresaw ends here, with the file's name."""
    try:
        return inspect_clip(
            path, sample_frames=settings.sample_frames, minimum_frames=settings.minimum_frames
        )
    except Exception as error:
        return LeftOut(path=path, sop_instance_uid=None, reason=unforeseen(path, error))


def _exams(clips: list[InspectedClip], settings: ReadSettings) -> tuple[list[Exam], list[LeftOut]]:
    """Sort clips into exams; one that breaks that, alone or beside longer ones, is left out."""
    try:
        return _sorted(clips, settings)
    except MemoryError:
        raise
    except Exception:
        kept: list[InspectedClip] = []
        told: list[LeftOut] = []
        for clip in sorted(clips, key=lambda clip: -clip.duration_s):
            reason = _breaks([*kept, clip], settings)
            if reason is None:
                kept.append(clip)
            else:
                told.append(_left_out(clip, reason))
        exams, misfits = _sorted(kept, settings)
        return exams, [*misfits, *told]


def _sorted(clips: list[InspectedClip], settings: ReadSettings) -> tuple[list[Exam], list[LeftOut]]:
    injections, misfits = sort_into_injections(clips, gap_s=settings.injection_gap_s)
    exams = [_exam(found, number, settings) for number, found in enumerate(injections, start=1)]
    return exams, [_left_out(clip, reason) for clip, reason in misfits]


def _breaks(clips: list[InspectedClip], settings: ReadSettings) -> Reason | None:
    """Why clips cannot be sorted, blamed on the last of them."""
    try:
        _sorted(clips, settings)
    except MemoryError:
        raise
    except Exception as error:
        return _reason(clips[-1].header.path, error)
    return None


def _reason(path: Path, error: Exception) -> Reason:
    return error.reason if isinstance(error, InputError) else unforeseen(path, error)


def _study_uid(paths: Sequence[Path]) -> str:
    for path in paths:
        try:
            uid = read_header(path).elements.words("StudyInstanceUID")
        except InputError:
            continue
        if uid:
            return uid
    return ""


def _left_out(clip: InspectedClip, reason: Reason) -> LeftOut:
    return LeftOut(path=clip.header.path, sop_instance_uid=clip.sop_instance_uid, reason=reason)


def _exam(injection: Injection, number: int, settings: ReadSettings) -> Exam:
    panes, first = injection.panes, injection.clips[0]
    most = max(injection.clips, key=lambda clip: len(clip.times_s))
    spacing_mm, bmode, warnings = _scale(panes, first)
    display = display_properties(most.sample(), panes.contrast, bmode)
    range_db, range_source = dynamic_range_db(
        first.header.elements, settings.dynamic_range_db, settings.dynamic_range_by_model
    )
    return Exam(
        study_uid=first.header.elements.uid("StudyInstanceUID"),
        injection=number,
        clips=tuple(
            Clip(
                path=clip.header.path,
                header=fitting(clip.header.dataset),
                frame_times_s=clip.times_s + start_s,
            )
            for clip, start_s in zip(injection.clips, injection.starts_s, strict=True)
        ),
        contrast=panes.contrast,
        bmode=bmode,
        layout=panes.layout,
        spacing_mm=spacing_mm,
        colour_map=display.colour_map.name,
        grey_of_luma=display.colour_map.grey_of_luma,
        graphics=display.graphics,
        dynamic_range_db=range_db,
        dynamic_range_source=range_source,
        warnings=(
            *injection.warnings,
            *warn_of_source(first.header.elements, range_source),
            *warnings,
            *display.warnings,
        ),
    )


def _scale(
    panes: Panes, clip: InspectedClip
) -> tuple[tuple[float, float], Box | None, tuple[str, ...]]:
    """Pixel spacing of the contrast pane; a B-mode pane on another scale is not used."""
    contrast = _region_of(panes.contrast, clip)
    if panes.bmode is None:
        return contrast.spacing_mm, None, ()
    bmode = _region_of(panes.bmode, clip)
    if _same_scale(contrast, bmode):
        return contrast.spacing_mm, panes.bmode, ()
    told = f"{_shown(bmode.spacing_mm)} instead of {_shown(contrast.spacing_mm)} mm a pixel"
    return contrast.spacing_mm, None, (f"the B-mode pane is not used: its scale is {told}",)


def _shown(spacing_mm: tuple[float, float]) -> str:
    return " × ".join(f"{mm:.3g}" for mm in spacing_mm)


def _region_of(pane: Box, clip: InspectedClip) -> Region:
    """The region in which a pane lies.

    Raises
    ------
    InputError
        If it lies in several whose pixels are not of one size: one of them is wrong.
    """
    best, *others = sorted(clip.regions, key=lambda region: -region.box.overlap(pane))
    for other in others:
        if other.box.overlap(pane) < WITHIN * pane.area or _same_scale(best, other):
            continue
        within = f"{clip.header.path.name}: {tag_text('SequenceOfUltrasoundRegions')}"
        found = f"{_shown(best.spacing_mm)} and {_shown(other.spacing_mm)} mm"
        raise InputError(
            "bad-regions",
            f"{within}, {tag_text('PhysicalDeltaX')} and {tag_text('PhysicalDeltaY')}: expected "
            f"one size of a pixel in all regions of a pane, found {found}",
        )
    return best


def _same_scale(one: Region, other: Region) -> bool:
    pairs = zip(one.spacing_mm, other.spacing_mm, strict=True)
    return all(abs(a - b) <= SAME_SCALE * a for a, b in pairs)
