"""The lesion of an exam as a person outlined it: a DICOM SEG, or a PNG of the whole stored frame.

A SEG is what the node sends back, perhaps corrected in a viewer. A viewer that stores it again need
not keep its codes (OHIF calls every segment tissue), so that the label counts, too. It may be drawn
on any frame that lies in plane; a PNG is drawn on the exam's reference frame. Either may show the
lesion in the contrast or in the B-mode pane.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.sr.coding import Code
from scipy import ndimage

from dicomnode.dicom import codes
from dicomnode.dicom.elements import tag_text
from dicomnode.dicom.exam import Exam
from dicomnode.errors import InputError, Reason, RefusedError
from dicomnode.science.sampling import Motion, align_whole

__all__ = ["Outline", "check_clips", "in_pane", "on_reference", "read_outline"]

Mask = NDArray[np.bool_]
Frame = NDArray[np.integer]

LABEL = "lesion"
IN_ONE_PANE = 0.9
"""Least share of an outline that lies in one pane; a hand may slip over the edge."""
WHOLE_PANE = 0.9
"""Share of a pane that no lesion covers: the picture is inverted, or shows something else."""

INSIDE: Mapping[str, Callable[[Frame, Dataset, int], Mask]] = {
    "BINARY": lambda frame, _seg, _number: frame > 0,
    "FRACTIONAL": lambda frame, seg, _number: frame >= int(seg.MaximumFractionalValue) / 2,
    "LABELMAP": lambda frame, _seg, number: frame == number,
}
"""Which pixels of a frame belong to a segment, by Segmentation Type (PS3.3 C.8.20.2.3)."""

UNREADABLE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    RuntimeError,
    struct.error,
)
"""What pydicom and Pillow raise for files that are damaged or lack what they need."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """A lesion on a whole stored frame.

    Attributes
    ----------
    mask : ndarray of bool, shape (Rows, Columns)
        At least one pixel.
    name : str
        The file's.
    study_uid, clip_uid : str
        Study and clip that a SEG is of; empty where it names none, as for a picture.
    frame : int or None
        Frame of that clip, from 1; None where none is named: the reference frame.
    """

    mask: Mask
    name: str
    study_uid: str = ""
    clip_uid: str = ""
    frame: int | None = None

    def __post_init__(self) -> None:
        if not self.mask.any():
            raise _bad(self.name, "expected pixels of a lesion, found none")


def read_outline(path: Path) -> Outline:
    """Read a SEG or a PNG, whatever its name.

    Raises
    ------
    InputError
        It is neither, cannot be read, or shows no lesion, or one on several frames.
    """
    try:
        with path.open("rb") as file:
            start = file.read(132)
        if start.startswith(b"\x89PNG\r\n\x1a\n"):
            return _of_picture(path)
        if start[128:] == b"DICM":
            return _of_seg(path)
    except UNREADABLE as error:
        raise _bad(path.name, f"expected a file that can be read, found: {error}") from error
    raise _bad(path.name, "expected a DICOM SEG or a PNG, found neither")


def check_clips(outline: Outline, clips: Sequence[Dataset]) -> None:
    """Refuse an outline that is not of these clips, given their headers.

    Raises
    ------
    InputError
        It is of another study, of another image, beyond the clip's last frame or of another size.
    """
    if outline.study_uid and outline.study_uid not in {_text(c, "StudyInstanceUID") for c in clips}:
        raise _bad(outline.name, "expected a SEG of the case's study, found one of another study")
    shown = [c for c in clips if outline.clip_uid in ("", _text(c, "SOPInstanceUID"))]
    if not shown:
        raise _bad(outline.name, "expected a SEG of the case's clip, found one of another image")
    frames = max(int(clip.get("NumberOfFrames") or 1) for clip in shown)
    if outline.frame is not None and not 1 <= outline.frame <= frames:
        raise _bad(outline.name, f"expected one of {frames} frames, found frame {outline.frame}")
    sizes = {(int(clip.get("Rows") or 0), int(clip.get("Columns") or 0)) for clip in shown}
    if outline.mask.shape not in sizes:
        expected = " or ".join(_size(size) for size in sorted(sizes))
        raise _bad(
            outline.name,
            f"expected {expected} pixels as the clip has, found {_size(outline.mask.shape)}",
        )


def in_pane(outline: Outline, exam: Exam) -> Mask:
    """Cut out the pane that holds the lesion, its holes filled; (R, C) of either pane.

    Raises
    ------
    InputError
        No pane holds it, or it is of other clips than the exam's.
    """
    check_clips(outline, [clip.header for clip in exam.clips])
    panes = {"contrast": exam.contrast} | ({} if exam.bmode is None else {"B-mode": exam.bmode})
    parts = {name: outline.mask[box.slices] for name, box in panes.items()}
    shares = {name: float(part.sum() / outline.mask.sum()) for name, part in parts.items()}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < IN_ONE_PANE:
        found = ", ".join(f"{share:.0%} in {name}" for name, share in shares.items())
        raise _bad(outline.name, f"expected the lesion in one pane, found {found}")
    mask = np.asarray(ndimage.binary_fill_holes(parts[best]), np.bool_)
    if mask.mean() > WHOLE_PANE:
        raise _bad(outline.name, f"expected a lesion, found {mask.mean():.0%} of the pane marked")
    return mask


def on_reference(mask: Mask, outline: Outline, exam: Exam, motion: Motion) -> Mask:
    """Move a pane's mask from the frame it was drawn on to the reference frame.

    Raises
    ------
    RefusedError
        The frame shows another plane than the reference frame.
    """
    index = _index(outline, exam)
    if index is None:
        return mask
    if not motion.kept[index]:
        raise RefusedError(
            Reason(
                "outline-out-of-plane",
                f"expected the lesion outlined on a frame in plane, found frame {outline.frame}",
            )
        )
    return align_whole(mask.astype(np.uint8), motion.shift_px[index]) > 0


def _index(outline: Outline, exam: Exam) -> int | None:
    """Which of the exam's frames, from 0; None for the reference frame."""
    first = 0
    for clip in exam.clips:
        if outline.frame is not None and outline.clip_uid == clip.sop_instance_uid:
            return first + outline.frame - 1
        first += len(clip.frame_times_s)
    return None


def _of_picture(path: Path) -> Outline:
    with Image.open(path) as image:
        if image.mode.startswith("I"):  # 16 bit and more, which no colour has
            return Outline(mask=np.asarray(image) != 0, name=path.name)
        red, green, blue, alpha = np.moveaxis(np.asarray(image.convert("RGBA")), -1, 0)
    return Outline(mask=((red | green | blue) > 0) & (alpha > 0), name=path.name)


def _of_seg(path: Path) -> Outline:
    seg = pydicom.dcmread(path)
    if seg.get("SegmentationType") not in INSIDE:
        modality = seg.get("Modality") or "unknown"
        raise _bad(
            path.name,
            f"expected a DICOM SEG with {tag_text('SegmentationType')}, found modality {modality}",
        )
    number = _lesion_of(seg, path.name)
    drawn = [(group, mask) for group, mask in _frames(seg, number) if mask.any()]
    if len(drawn) != 1:
        raise _bad(path.name, f"expected the lesion on one frame, found it on {len(drawn)}")
    group, mask = drawn[0]
    source = _first(_first(group, "DerivationImageSequence"), "SourceImageSequence")
    frame = source.get("ReferencedFrameNumber")  # none or several: no one frame (PS3.3, 10.3)
    return Outline(
        mask=mask,
        name=path.name,
        study_uid=_text(seg, "StudyInstanceUID"),
        clip_uid=_text(source, "ReferencedSOPInstanceUID"),
        frame=int(frame) if isinstance(frame, int) else None,
    )


def _lesion_of(seg: Dataset, name: str) -> int:
    """Number of the segment that is coded as the lesion, or called so, or is the only one."""
    segments: Sequence[Dataset] = seg.SegmentSequence
    coded = [s for s in segments if _is_lesion(_first(s, "SegmentedPropertyTypeCodeSequence"))]
    called = [s for s in segments if _text(s, "SegmentLabel").strip().lower() == LABEL]
    for found in (coded, called, segments):
        if len(found) == 1:
            return int(found[0].SegmentNumber)
    raise _bad(
        name,
        f"expected one segment coded or called {LABEL}, or a single segment, found "
        f"{len(segments)} segments",
    )


def _is_lesion(item: Dataset) -> bool:
    value, scheme = _text(item, "CodeValue"), _text(item, "CodingSchemeDesignator")
    return bool(Code(value, scheme, "") == codes.LESION)


def _frames(seg: Dataset, number: int) -> Iterator[tuple[Dataset, Mask]]:
    """Functional groups and mask of each frame that shows the segment."""
    kind = str(seg.SegmentationType)
    shared = _first(seg, "SharedFunctionalGroupsSequence")
    stored = seg.pixel_array.reshape(-1, int(seg.Rows), int(seg.Columns))
    for group, frame in zip(seg.PerFrameFunctionalGroupsSequence, stored, strict=True):
        whole = Dataset()
        whole.update(shared)
        whole.update(group)
        segment = _first(whole, "SegmentIdentificationSequence").get("ReferencedSegmentNumber")
        if kind == "LABELMAP" or segment == number:
            yield whole, INSIDE[kind](frame, seg, number)


def _first(dataset: Dataset, keyword: str) -> Dataset:
    """First item of a sequence; an empty one where there is none."""
    items = dataset.get(keyword)
    return items[0] if items else Dataset()


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _bad(name: str, told: str) -> InputError:
    return InputError("bad-outline", f"{name}: {told}")
