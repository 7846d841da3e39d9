"""One file looked at: is it a contrast clip, and if not, what is it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.config import IGNORE
from pydicom.uid import UID

from dicomnode.dicom.box import Box
from dicomnode.dicom.decode import (
    Damaged,
    frame_shape,
    frames,
    frames_or_damage,
    number_of_frames,
    stored_frames,
)
from dicomnode.dicom.elements import tag_text
from dicomnode.dicom.exam.misread import in_all_colours, planes_apart
from dicomnode.dicom.exam.panes import Panes, find_panes, level_curve
from dicomnode.dicom.exam.regions import Region, has_colour_flow, image_regions
from dicomnode.dicom.exam.timing import frame_times
from dicomnode.dicom.header import Header, read_header
from dicomnode.errors import InputError, Reason

__all__ = ["ULTRASOUND", "InspectedClip", "LeftOut", "continues", "inspect_clip", "unforeseen"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Read = TypeVar("Read")

ULTRASOUND = {
    "1.2.840.10008.5.1.4.1.1.3.1": "US Multi-frame",
    "1.2.840.10008.5.1.4.1.1.3": "US Multi-frame (retired)",
    "1.2.840.10008.5.1.4.1.1.6.1": "US Image",
    "1.2.840.10008.5.1.4.1.1.6": "US Image (retired)",
}
"""SOP classes that may hold a clip; US Image is sent with several frames, against PS3.3 A.6."""
OWN_MODEL = "dicomnode"
IDENTITY = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
"""What every result names of its source."""
SMALLEST_PX = 32
"""A smaller image has no pane in which anything could be outlined."""
WRONG_NUMBER = "wrong-number-of-frames"
SHRINK = 4
THUMBNAIL_PX = 10
MOST_DAMAGED = 0.5
"""Share of the frames looked at that may be damaged; how many there are is counted on loading."""
ALIKE = 0.5
"""Correlation from which a clip goes on where another ended."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A file of the study that is not analysed, and why."""

    path: Path
    sop_instance_uid: str | None
    reason: Reason

    @property
    def told(self) -> Reason:
        """The reason, which names the file, once."""
        name, text = self.path.name, self.reason.text
        return Reason(self.reason.code, text if text.startswith(name) else f"{name}: {text}")


def unforeseen(path: Path, error: Exception) -> Reason:
    """Say that reading a file ended as nobody foresaw; texts of foreign errors may quote data."""
    kind = type(error).__name__
    if isinstance(error, MemoryError):
        return Reason(
            "out-of-memory", f"{path.name}: expected pixels that fit into memory, found {kind}"
        )
    return Reason("unforeseen-error", f"{path.name}: expected a file that can be read, got {kind}")


@dataclass(frozen=True, kw_only=True)
class InspectedClip:
    """What was seen of one clip.

    Attributes
    ----------
    times_s : ndarray of float64, shape (n,)
        Seconds after the clip's own first frame.
    sampled : tuple of int
        0-based indices of the frames that were looked at.
    preview : ndarray of uint8, shape (T, R / 4, C / 4, 3)
        Every fourth pixel of those frames: enough to compare clips, small enough to keep.
    panes : Panes or Reason
        A reason where the clip by itself does not show contrast.
    """

    header: Header
    times_s: NDArray[np.float64]
    regions: tuple[Region, ...]
    sampled: tuple[int, ...]
    preview: U8
    panes: Panes | Reason
    warnings: tuple[str, ...]

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID."""
        return self.header.elements.uid("SOPInstanceUID")

    @property
    def duration_s(self) -> float:
        """From the first frame to where the next one after the last would be."""
        steps = np.diff(self.times_s)
        return float(self.times_s[-1] + (np.median(steps) if len(steps) else 0.0))

    @property
    def geometry(self) -> tuple[object, ...]:
        """Clips of one exam agree in this: image size and regions."""
        shape = frame_shape(self.header)
        return shape.rows, shape.columns, self.regions

    def curve(self, box: Box) -> NDArray[np.float64]:
        """Mean grey level of a box over the sampled frames."""
        return level_curve(self.preview, _in_preview(box))

    def sample(self) -> U8:
        """Decode the sampled frames again, (T, R, C, 3)."""
        return np.stack(list(frames(self.header, only=self.sampled)))


def inspect_clip(path: Path, *, sample_frames: int, minimum_frames: int) -> InspectedClip | LeftOut:
    """Look at one file.

    What can be no part of a contrast exam is left out with a reason. A clip that might be the
    later part of one comes back with the reason against it in the place of its ``panes``.
    """
    uid: str | None = None
    try:
        header = read_header(path)
        uid = header.elements.words("SOPInstanceUID") or None
        reason = (
            _refused_class(header)
            or _refused_count(header, minimum_frames)
            or _refused_size(header)
        )
        found = reason or _inspection(header, sample_frames)
    except InputError as error:
        found = error.reason
    if isinstance(found, InspectedClip):
        return found
    return LeftOut(path=path, sop_instance_uid=uid, reason=found)


def _refused_class(header: Header) -> Reason | None:
    elements = header.elements
    sop_class = elements.text("SOPClassUID")
    if sop_class not in ULTRASOUND:
        if not sop_class:
            return elements.wrong("SOPClassUID", "ultrasound", "none", "not-ultrasound").reason
        uid = UID(sop_class, IGNORE)
        named = uid.name if uid.name != uid else "another UID"
        tag = tag_text("SOPClassUID")
        return Reason("not-ultrasound", f"not analysed: {tag}: expected ultrasound, found {named}")
    if elements.words("ManufacturerModelName").lower().startswith(OWN_MODEL):
        return Reason("own-result", "not analysed: a result of this software")
    return None


def _refused_count(header: Header, minimum_frames: int) -> Reason | None:
    count = number_of_frames(header)
    if count == 1:
        return _uncounted(header) or Reason("still", "not CEUS: a still image; a clip was expected")
    if count < minimum_frames:
        return Reason(
            "too-few-frames",
            f"not CEUS that can be measured: expected at least {minimum_frames} frames to see "
            f"contrast come and go, found NumberOfFrames (0028,0008) {count}",
        )
    return None


def _uncounted(header: Header) -> Reason | None:
    """A clip whose frames nobody counted, or that has none; what is one frame is a still."""
    elements = header.elements
    try:
        stored = stored_frames(header)
    except InputError as error:
        return None if elements.states("NumberOfFrames") else error.reason
    if stored <= 1:
        return None
    stated = 1 if elements.states("NumberOfFrames") else "none"
    expected = f"{stored}, as many as frames in PixelData (7FE0,0010)"
    return elements.wrong("NumberOfFrames", expected, stated, WRONG_NUMBER).reason


def _refused_size(header: Header) -> Reason | None:
    shape = frame_shape(header)
    if min(shape.rows, shape.columns) >= SMALLEST_PX:
        return None
    return Reason(
        "too-small",
        f"not CEUS that can be measured: expected at least {SMALLEST_PX} rows and columns, found "
        f"{tag_text('Rows')} {shape.rows} and {tag_text('Columns')} {shape.columns}",
    )


def _inspection(header: Header, sample_frames: int) -> InspectedClip | Reason:
    """Judge the pixels first: no contrast clip is refused as that, whatever else it lacks."""
    elements = header.elements
    for keyword in IDENTITY:
        elements.uid(keyword)
    count = number_of_frames(header)
    wanted, sample = _sample(header, count, sample_frames)
    misread = planes_apart(header, sample)
    if misread is not None:
        return misread
    regions, region_error = _or_error(lambda: image_regions(elements))
    times, time_error = _or_error(lambda: frame_times(elements, count))
    panes = find_panes(
        sample,
        [region.box for region in regions or ()],
        duration_s=None if times is None else float(times.times_s[-1]),
        has_colour_flow=has_colour_flow(elements),
    )
    error = time_error or region_error
    if isinstance(panes, Reason) and panes.code == "not-ceus":
        return in_all_colours(elements, sample) or panes
    if isinstance(panes, Reason) and (error is not None or panes.code != "no-wash-in"):
        return panes
    if times is None or regions is None:
        assert error is not None, "what is not there has its reason"
        return error
    return InspectedClip(
        header=header,
        times_s=times.times_s,
        regions=regions,
        sampled=tuple(wanted),
        preview=np.ascontiguousarray(sample[:, ::SHRINK, ::SHRINK]),
        panes=panes,
        warnings=(*header.warnings, *times.warnings),
    )


def _sample(header: Header, count: int, sample_frames: int) -> tuple[list[int], U8]:
    """Frames spread over the clip and their indices; a few may be damaged, and are passed over."""
    wanted = np.unique(np.linspace(0, count - 1, sample_frames).astype(int)).tolist()
    seen = dict(zip(wanted, frames_or_damage(header, only=wanted), strict=True))
    sound = {index: frame for index, frame in seen.items() if not isinstance(frame, Damaged)}
    damage = [frame.error for frame in seen.values() if isinstance(frame, Damaged)]
    if len(damage) > MOST_DAMAGED * len(wanted):
        raise damage[0]
    return list(sound), np.stack(list(sound.values()))


def _or_error(read: Callable[[], Read]) -> tuple[Read | None, Reason | None]:
    try:
        return read(), None
    except InputError as error:
        return None, error.reason


def continues(clip: InspectedClip, earlier: Sequence[InspectedClip], contrast: Box) -> bool:
    """Whether a clip without wash-in of its own shows in ``contrast`` what another clip shows.

    Such a clip is the later part of an injection: same image size and regions, and its first frame
    looks as some sampled frame of the other does.
    """
    box = _in_preview(contrast)
    start = _thumbnail(clip.preview[0], box)
    for other in earlier:
        if other.geometry != clip.geometry:
            continue
        if any(_alike(start, _thumbnail(frame, box)) for frame in other.preview):
            return True
    return False


def _in_preview(box: Box) -> Box:
    return Box(
        row=-(-box.row // SHRINK),
        column=-(-box.column // SHRINK),
        rows=max(box.rows // SHRINK, 1),
        columns=max(box.columns // SHRINK, 1),
    )


def _thumbnail(frame: U8, box: Box) -> F32:
    """Mean green, the channel nearest to luma, of a coarse grid of cells of a box."""
    rows, columns = box.slices
    green = frame[rows, columns, 1].astype(np.float32)
    row_edges = np.linspace(0, green.shape[0], THUMBNAIL_PX, endpoint=False).astype(int)
    column_edges = np.linspace(0, green.shape[1], THUMBNAIL_PX, endpoint=False).astype(int)
    sums = np.add.reduceat(np.add.reduceat(green, row_edges, axis=0), column_edges, axis=1)
    return np.asarray(sums / (green.size / THUMBNAIL_PX**2), np.float32)


def _alike(first: F32, second: F32) -> bool:
    """Correlated, and of the same brightness give or take a third."""
    if first.std() < 1e-3 or second.std() < 1e-3:
        return False
    same_level = 0.67 <= (first.mean() + 1) / (second.mean() + 1) <= 1.5
    return bool(same_level and np.corrcoef(first.ravel(), second.ravel())[0, 1] >= ALIKE)
