"""An exam's pixels: panes as grey level on one clock, damaged frames left out and told."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.box import around
from dicomnode.dicom.decode import Damaged, frames_or_damage
from dicomnode.dicom.exam.clip import unforeseen
from dicomnode.dicom.exam.study import Clip, Exam
from dicomnode.errors import BrokenClipError, InputError
from dicomnode.science.loop import Loop

__all__ = ["load_loop"]

U8 = NDArray[np.uint8]
PIXEL_DATA = "PixelData (7FE0,0010)"
MOST_DAMAGED = 0.25
"""Share of a clip's frames from which on what is left is no recording of the injection."""
MOST_NAMED = 8
"""Stretches of damaged frames that a text names."""


def load_loop(exam: Exam) -> Loop:
    """Decode an exam's panes as grey level, frame by frame.

    Damaged frames keep their place in time; their pixels repeat those of the frame before.

    Raises
    ------
    BrokenClipError
        Naming the clip of which too many frames are damaged, or that cannot be decoded at all.
    """
    count = sum(len(clip.frame_times_s) for clip in exam.clips)
    shape = (count, exam.contrast.rows, exam.contrast.columns)
    contrast = np.empty(shape, np.uint8)
    bmode = None if exam.bmode is None else np.empty(shape, np.uint8)
    damaged = np.zeros(count, np.bool_)
    warnings: list[str] = []
    at = 0
    for clip in exam.clips:
        here = slice(at, at + len(clip.frame_times_s))
        panes = contrast[here], None if bmode is None else bmode[here]
        with _blamed_on(clip):
            faults = _decode(clip, exam, *panes)
            warnings += _told(clip, faults)
        damaged[[at + number for number in faults]] = True
        at = here.stop
    for frames in (contrast, bmode):
        if frames is not None:
            _repeat_neighbours(frames, damaged)
    return Loop(
        contrast=contrast,
        bmode=bmode,
        times_s=exam.times_s,
        spacing_mm=exam.spacing_mm,
        graphics=np.zeros(shape[1:], np.bool_) if exam.graphics is None else exam.graphics,
        dynamic_range_db=exam.dynamic_range_db,
        dynamic_range_source=exam.dynamic_range_source,
        damaged=damaged if damaged.any() else None,
        warnings=(*exam.warnings, *warnings),
    )


@contextmanager
def _blamed_on(clip: Clip) -> Iterator[None]:
    """Whatever ends the decoding of a clip is that clip's fault, and named as such."""
    try:
        yield
    except MemoryError:
        raise
    except InputError as error:
        raise BrokenClipError(clip.path, error.reason) from error
    except Exception as error:
        raise BrokenClipError(clip.path, unforeseen(clip.path, error)) from error


def _decode(clip: Clip, exam: Exam, contrast: U8, bmode: U8 | None) -> dict[int, InputError]:
    """Write a clip's panes into (T, R, C) arrays; return what is wrong with its damaged frames."""
    whole = exam.contrast if exam.bmode is None else around(exam.contrast, exam.bmode)
    faults: dict[int, InputError] = {}
    for number, image in enumerate(frames_or_damage(clip.path, box=whole, colour="luma")):
        if isinstance(image, Damaged):
            faults[number] = image.error
            continue
        pane = image[exam.contrast.within(whole).slices]
        np.take(exam.grey_of_luma, pane, out=contrast[number])
        if bmode is not None and exam.bmode is not None:
            bmode[number] = image[exam.bmode.within(whole).slices]
    return faults


def _told(clip: Clip, faults: dict[int, InputError]) -> list[str]:
    """Say which frames of a clip are damaged, or refuse the clip."""
    if not faults:
        return []
    count = len(clip.frame_times_s)
    which = f"{len(faults)} of {count} frames ({_numbers(list(faults))})"
    if len(faults) > MOST_DAMAGED * count:
        first = next(iter(faults.values()))
        raise InputError(
            "damaged-frames",
            f"{clip.path.name}: {PIXEL_DATA}: expected at most {MOST_DAMAGED:.0%} of the frames "
            f"damaged, found {which}; the first of them: {first}",
            hint="send the object again",
        )
    return [f"{clip.path.name}: {PIXEL_DATA}: {which} are damaged and left out"]


def _numbers(indices: list[int]) -> str:
    """Frame numbers, which count from 1, as stretches."""
    edges = [i for i, (a, b) in enumerate(pairwise(indices), start=1) if b > a + 1]
    bounds = pairwise([0, *edges, len(indices)])
    runs = [(indices[start] + 1, indices[stop - 1] + 1) for start, stop in bounds]
    named = [f"{a}" if a == b else f"{a} to {b}" for a, b in runs[:MOST_NAMED]]
    return ", ".join(named) + (" and others" if len(runs) > MOST_NAMED else "")


def _repeat_neighbours(pane: U8, damaged: NDArray[np.bool_]) -> None:
    """Fill damaged frames with the sound one before, or the first one."""
    sound = np.flatnonzero(~damaged)
    for t in np.flatnonzero(damaged):
        pane[t] = pane[sound[max(int(np.searchsorted(sound, t)) - 1, 0)]]
