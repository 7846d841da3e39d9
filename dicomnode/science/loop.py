"""One injection as arrays: a contrast loop, its B-mode loop and their clock; grey to echo power."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.sampling import (
    SATURATED_GREY,
    Motion,
    align,
    align_whole,
    nepers_per_grey,
)

__all__ = [
    "SATURATED_GREY",
    "Loop",
    "estimate_dynamic_range_db",
    "linearise",
    "saturated",
    "static_bright",
    "summary_images",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Loop:
    """The panes of one injection on one clock.

    Attributes
    ----------
    contrast : ndarray of uint8, shape (T, R, C)
        Contrast pane as log-compressed grey level; any colour map is already undone.
    bmode : ndarray of uint8, shape (T, R, C), or None
        B-mode pane in the same pixel coordinates, or None for a single-pane exam.
    times_s : ndarray of float64, shape (T,)
        Strictly increasing seconds from the first frame; gaps between clips are kept.
    spacing_mm : (float, float)
        Row and column spacing in millimetres.
    graphics : ndarray of bool, shape (R, C)
        Burned-in graphics, text and colour bars: never measured.
    dynamic_range_db : float
        Log-compression range; grey 255 is this many decibels above grey 0.
    dynamic_range_source : str
        Where it came from: "tag", "vendor", "settings" or "default".
    damaged : ndarray of bool, shape (T,), or None
        Frames that could not be read, whose pixels repeat a neighbour's: never measured. None
        where all were read.
    """

    contrast: NDArray[np.uint8]
    bmode: NDArray[np.uint8] | None
    times_s: NDArray[np.float64]
    spacing_mm: tuple[float, float]
    graphics: NDArray[np.bool_]
    dynamic_range_db: float = 60.0
    dynamic_range_source: str = "default"
    damaged: NDArray[np.bool_] | None = None
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.contrast.dtype != np.uint8 or self.contrast.ndim != 3 or not self.contrast.size:
            raise ValueError(
                "contrast: expected uint8 grey levels of shape (T, R, C), none of them 0, "
                f"got {self.contrast.dtype} of shape {self.contrast.shape}"
            )
        if self.bmode is not None and (
            self.bmode.shape != self.contrast.shape or self.bmode.dtype != np.uint8
        ):
            raise ValueError(
                f"bmode: expected uint8 grey levels of shape {self.contrast.shape} as contrast, "
                f"got {self.bmode.dtype} of shape {self.bmode.shape}"
            )
        if self.graphics.shape != self.shape or self.graphics.dtype != np.bool_:
            raise ValueError(
                f"graphics: expected bool of shape {self.shape}, "
                f"got {self.graphics.dtype} of shape {self.graphics.shape}"
            )
        self._check_clock()
        if self.damaged is not None and (
            self.damaged.shape != self.times_s.shape or self.damaged.dtype != np.bool_
        ):
            raise ValueError(
                f"damaged: expected bool of shape {self.times_s.shape}, "
                f"got {self.damaged.dtype} of shape {self.damaged.shape}"
            )
        if not all(0 < spacing < np.inf for spacing in self.spacing_mm):
            raise ValueError(
                f"spacing_mm: expected millimetres above 0 a pixel, got {self.spacing_mm}"
            )
        if not 0 < self.dynamic_range_db <= 200:
            raise ValueError(f"dynamic_range_db: expected 0 to 200 dB, got {self.dynamic_range_db}")

    def _check_clock(self) -> None:
        frames = len(self.contrast)
        if self.times_s.shape != (frames,):
            raise ValueError(
                f"times_s: expected {frames} seconds, one per frame, got shape {self.times_s.shape}"
            )
        if not np.all(np.isfinite(self.times_s)):
            raise ValueError("times_s: expected finite seconds, got NaN or infinity")
        back = np.flatnonzero(np.diff(self.times_s) <= 0)
        if len(back):
            raise ValueError(
                "times_s: expected strictly increasing seconds, "
                f"got {self.times_s[back[0] + 1]:g} after {self.times_s[back[0]]:g}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the pane."""
        return self.contrast.shape[1], self.contrast.shape[2]


_SPECKLE_SD_DB = 5.57
"""Standard deviation of fully developed single-look speckle in decibels (10 π / (√6 ln 10))."""

_BLOCKS = 48
"""Time blocks of the summary images: enough for arrival, few enough to average speckle away."""

_SUMMARY_SCALE_MM = 0.25
"""Standard deviation of the smoothing of summary images."""

_STATIC_SHARE = 0.002
"""Share of the pane that a static structure covers at least; less is a bubble that stood still."""


def linearise(grey: NDArray[np.uint8], dynamic_range_db: float) -> NDArray[np.float32]:
    """Turn log-compressed grey level into echo power.

    ``power = 10 ** (dynamic_range_db * grey / 255 / 10)``, by a table of 256 entries.

    Parameters
    ----------
    grey : ndarray of uint8, any shape
        Grey level, 0 to 255.
    dynamic_range_db : float
        Decibels between grey 0 and grey 255.

    Returns
    -------
    ndarray of float32, same shape
        Echo power, 1 at grey 0.
    """
    if grey.dtype != np.uint8:
        raise ValueError(f"grey: expected uint8 grey levels, got {grey.dtype}")
    table = np.exp(nepers_per_grey(dynamic_range_db) * np.arange(256))
    return np.take(table.astype(np.float32), grey)


def saturated(grey: NDArray[np.uint8], limit: int = SATURATED_GREY) -> NDArray[np.bool_]:
    """Say which samples are at the top of the grey scale: censored, not values."""
    return grey >= limit


def estimate_dynamic_range_db(
    contrast: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None
) -> float | None:
    """Estimate the dynamic range from speckle, as a check of the stated one: warn, never replace.

    Fully developed single-look speckle that is fresh in every frame has a standard deviation of
    5.57 dB, so ``DR = 255 √2 5.57 / sd(Δq)`` with Δq the change of grey level between frames.
    Persistence and compounding make Δq smaller and the estimate too large.

    Parameters
    ----------
    contrast : ndarray of uint8, shape (T, R, C)
        Grey levels.
    mask : ndarray of bool, shape (R, C), optional
        Enhancing tissue; the whole pane where not given.

    Returns
    -------
    float or None
        Decibels, or None where fewer than 1000 samples are inside the grey scale.
    """
    pairs = np.unique(np.linspace(0, max(len(contrast) - 2, 0), 40).astype(int))
    changes = [
        _grey_changes(contrast[t], contrast[t + 1], mask) for t in pairs[: len(contrast) - 1]
    ]
    change = np.concatenate(changes) if changes else np.empty(0)
    spread = float(np.std(change)) if change.size >= 1000 else 0.0
    return 255.0 * float(np.sqrt(2.0)) * _SPECKLE_SD_DB / spread if spread > 0 else None


def _grey_changes(
    first: NDArray[np.uint8], second: NDArray[np.uint8], mask: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    inside = (first > 0) & (second > 0) & ~saturated(first) & ~saturated(second)
    if mask is not None:
        inside &= mask
    return second[inside].astype(np.float64) - first[inside]


def summary_images(loop: Loop, motion: Motion) -> dict[str, NDArray[np.float32]]:
    """Reduce a loop to the few images that a segmenter looks at.

    Frames are moved to the nearest whole pixel, averaged over at most 48 blocks of time and
    smoothed over 0.25 mm, so that no single speckle decides a maximum.

    Parameters
    ----------
    loop : Loop
    motion : Motion
        Of this loop. Frames that were not kept are not used.

    Returns
    -------
    dict of str to ndarray of float32, shape (R, C), all 0 to 1
        ``contrast_max``, ``contrast_mean``, ``contrast_start`` (the first twentieth of the loop):
        grey level / 255. ``arrival``: time at which a pixel first reaches 30 % of its rise, as
        a share of the loop's duration; 1 where it never rises. ``bmode``: mean of the B-mode
        frames around the reference frame; absent for a single-pane exam.
    """
    blocks, block_times_s = _time_blocks(loop, motion)
    images = {
        "contrast_max": blocks.max(axis=0),
        "contrast_mean": blocks.mean(axis=0),
        "contrast_start": _start(loop, motion),
        "arrival": _arrival(loop, blocks, block_times_s),
    }
    if loop.bmode is not None:
        images["bmode"] = _around_reference(loop.bmode, motion)
    return images


def static_bright(contrast: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Find what is bright before the bolus and does not change: skin line, clips, needles.

    Parameters
    ----------
    contrast : ndarray of uint8, shape (T, R, C)
        Grey levels; not motion-compensated, since the skin line stays with the probe.

    Returns
    -------
    ndarray of bool, shape (R, C)
        Pixels of large structures whose mean grey level is bright in the first eighth of the
        loop and changes by less than a fifth of the grey scale from eighth to eighth.
    """
    parts = np.array_split(np.arange(len(contrast)), min(len(contrast), 8))
    levels = np.stack([contrast[part[:: -(-len(part) // 12)]].mean(axis=0) for part in parts])
    smooth = ndimage.gaussian_filter(levels / 255.0, (0, 3, 9))
    bright = smooth[0] > max(0.3, 2.0 * float(np.median(smooth[0])))
    static = bright & (np.ptp(smooth, axis=0) < 0.2)
    joined = static | ndimage.binary_closing(static, np.ones((5, 25)))
    labels, _ = ndimage.label(joined)
    large = np.bincount(labels.ravel()) >= _STATIC_SHARE * joined.size
    large[0] = False
    return np.asarray(large[labels])


def _moved_mean(
    frames: NDArray[np.uint8], motion: Motion, which: NDArray[np.intp]
) -> NDArray[np.float32]:
    total = np.zeros(frames.shape[1:], np.float32)
    for t in which:
        total += align_whole(frames[t], motion.shift_px[t])
    return total / np.float32(255 * len(which))


def _smooth(image: NDArray[np.float32], spacing_mm: tuple[float, float]) -> NDArray[np.float32]:
    sigma = [_SUMMARY_SCALE_MM / spacing for spacing in spacing_mm]
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(image, sigma, truncate=3.0)
    return smooth


def _time_blocks(loop: Loop, motion: Motion) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    kept = np.flatnonzero(motion.kept)
    parts = np.array_split(kept, min(len(kept), _BLOCKS))
    blocks = [_smooth(_moved_mean(loop.contrast, motion, part), loop.spacing_mm) for part in parts]
    return np.stack(blocks), np.array([loop.times_s[part].mean() for part in parts])


def _start(loop: Loop, motion: Motion) -> NDArray[np.float32]:
    kept = np.flatnonzero(motion.kept)
    first = kept[: max(1, len(kept) // 20)]
    return _smooth(_moved_mean(loop.contrast, motion, first), loop.spacing_mm)


def _around_reference(bmode: NDArray[np.uint8], motion: Motion) -> NDArray[np.float32]:
    kept = np.flatnonzero(motion.kept)
    near = kept[np.argsort(np.abs(kept - motion.reference), kind="stable")[:5]]
    total = np.mean([align(bmode[t], motion.shift_px[t]) for t in near], axis=0)
    return np.asarray(total / 255, np.float32)


def _arrival(
    loop: Loop, blocks: NDArray[np.float32], times_s: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Share of the loop's duration at which each pixel reaches 30 % of its rise."""
    base = blocks[: max(1, len(blocks) // 20)].mean(axis=0)
    rise = blocks.max(axis=0) - base
    first = np.argmax(blocks >= base + 0.3 * rise, axis=0)
    share = (times_s[first] - loop.times_s[0]) / max(np.ptp(loop.times_s), 1e-9)
    return np.where(rise > 0.08, share, 1.0).astype(np.float32)
