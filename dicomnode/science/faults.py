"""Frames that show something else than tissue with contrast agent: flashes, a lifted probe, damage.

They are left out of every measurement: a flash is no bolus, and so is the dark of a probe in air.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.loop import Loop

__all__ = ["damaged", "faulty", "flashes", "lifted"]

_SPARSE_PX = 4
"""Every so many rows and columns are looked at for brightness."""
_CELL_PX = 8
"""Cells over which speckle is averaged away where texture is looked at."""
_FLASH_DB = 3.0
_FLASH_SCATTER = 6.0
"""A flash is brighter than its neighbours by this much, and by so many times their scatter."""
_FLASH_FRAMES = 9
"""Neighbours that a flash is compared with; it lasts less than half of them."""
_OFF_SHARE = 0.5
"""Below this share of its usual brightness or texture a pane shows no tissue."""
_OFF_DB = 6.0
"""A contrast pane has lost its tissue if it has darkened by this much as well."""
_OFF_S = 20.0
"""Longest time without tissue between two stretches with it that a contrast pane can tell."""


def faulty(loop: Loop) -> NDArray[np.bool_]:
    """Say which frames (T,) flash, were taken with the probe lifted or could not be read."""
    return flashes(loop) | lifted(loop) | damaged(loop)


def damaged(loop: Loop) -> NDArray[np.bool_]:
    """Say which frames (T,) could not be read."""
    return np.zeros(len(loop.times_s), np.bool_) if loop.damaged is None else loop.damaged


def flashes(loop: Loop) -> NDArray[np.bool_]:
    """Find single bright frames: bubble destruction, or a knock against the probe.

    Returns
    -------
    ndarray of bool, shape (T,)
        Frames whose mean grey level exceeds the running median of nine frames by 3 dB and by
        six times its usual scatter.
    """
    level = _levels(loop.contrast, loop.graphics)
    size = min(_FLASH_FRAMES, len(level))
    excess = level - ndimage.median_filter(level, size=size, mode="nearest")
    scatter = 1.4826 * float(np.median(np.abs(excess)))
    flash: NDArray[np.bool_] = excess > max(_grey(loop, _FLASH_DB), _FLASH_SCATTER * scatter)
    return flash


def lifted(loop: Loop) -> NDArray[np.bool_]:
    """Find the frames at which the probe was off the skin: no tissue is seen.

    The B-mode pane is dark or without texture then, against its own median. Of a single-pane exam
    only what happens after the arrival of contrast can be told: the pane falls dark for at most
    20 s, or falls dark at once and stays so until the end. Before arrival it is dark anyway.

    Returns
    -------
    ndarray of bool, shape (T,)
    """
    if loop.bmode is None:
        return _fallen(loop)
    level, texture = _levels(loop.bmode, loop.graphics), _textures(loop.bmode, loop.graphics)
    dark = level < _OFF_SHARE * np.median(level)
    blank = texture < _OFF_SHARE * np.median(texture)
    return np.asarray(dark | blank)


def _fallen(loop: Loop) -> NDArray[np.bool_]:
    """Frames of a contrast pane that are dark between bright ones, or from a sudden fall on."""
    level, flash = _levels(loop.contrast, loop.graphics), flashes(loop)
    frames = np.arange(len(level))
    level = np.interp(frames, frames[~flash], level[~flash])
    brightest_yet = np.maximum.accumulate(level[::-1])[::-1]
    ahead = brightest_yet[np.minimum(frames + 2, len(level) - 1)]
    falls = np.flatnonzero(_off(loop, ahead, level))
    gone = np.zeros(level.shape, np.bool_)
    if len(falls):
        gone[falls[0] + 1 :] = True
        gone &= _off(loop, level, level[falls[0]])
        level = np.where(gone, level[falls[0]], level)
    size = min(len(level), _frames_in(loop, _OFF_S))
    closed = ndimage.grey_closing(np.pad(level, size, mode="edge"), size=size)[size:-size]
    return np.asarray(gone | _off(loop, level, closed))


def _off(
    loop: Loop, level: NDArray[np.float64], usual: NDArray[np.float64] | np.float64
) -> NDArray[np.bool_]:
    return np.asarray((level < _OFF_SHARE * usual) & (level < usual - _grey(loop, _OFF_DB)))


def _grey(loop: Loop, decibels: float) -> float:
    """Grey levels that make so many decibels."""
    return decibels * 255.0 / loop.dynamic_range_db


def _frames_in(loop: Loop, seconds: float) -> int:
    """Frames within a time, at the loop's usual frame interval."""
    if len(loop.times_s) < 2:
        return 1
    return max(1, int(seconds / float(np.median(np.diff(loop.times_s)))))


def _levels(frames: NDArray[np.uint8], graphics: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean grey level of every frame (T,), without graphics."""
    step = min(_SPARSE_PX, *graphics.shape)
    seen = ~graphics[::step, ::step]
    if not seen.any():
        return np.zeros(len(frames))
    return np.array([frame[::step, ::step][seen].mean() for frame in frames])


def _textures(frames: NDArray[np.uint8], graphics: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How much cells of 8 × 8 pixels differ along the rows of every frame (T,), in grey levels.

    Reverberation in a probe that hangs in air varies with depth alone.
    """
    rows, columns = (size // _CELL_PX for size in graphics.shape)
    if rows == 0 or columns < 2:
        return np.zeros(len(frames))
    cut = (slice(rows * _CELL_PX), slice(columns * _CELL_PX))
    seen = (~graphics[cut]).astype(np.float32)
    count = np.maximum(_cells(seen, rows, columns), 1.0)
    full = count >= 0.5 * _CELL_PX**2
    width = np.maximum(full.sum(axis=1), 1)
    found = np.empty(len(frames))
    for t, frame in enumerate(frames):
        cells = np.where(full, _cells(frame[cut] * seen, rows, columns) / count, 0.0)
        off = np.where(full, cells - (cells.sum(axis=1) / width)[:, None], 0.0)
        found[t] = float(np.sqrt((off**2).sum() / max(int(full.sum()), 1)))
    return found


def _cells(image: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    parts = image.reshape(rows, _CELL_PX, columns, _CELL_PX)
    sums: NDArray[np.float32] = parts.sum(axis=(1, 3))
    return sums
