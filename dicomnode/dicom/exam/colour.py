"""Colour maps of contrast panes, and the way back from their colours to grey level.

A scanner's colour bar shows the grey levels 0 to 255 at equal distances, in the colours of the
pane. Where the bar lies in the image it is the best witness; else a map that is known by its
colours; else the brightest channel is taken as grey level, with a warning.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.box import Box
from dicomnode.dicom.decode.samples import luma

__all__ = ["KNOWN_MAPS", "Bar", "ColourMap", "choose_map", "find_bars", "grey_map", "seen_colours"]

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

KNOWN_MAPS: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "amber": (
        (0, 0, 0, 0),
        (40, 40, 12, 1),
        (80, 80, 35, 8),
        (120, 120, 67, 23),
        (160, 160, 107, 49),
        (200, 200, 153, 88),
        (255, 255, 225, 165),
    ),
    "copper": ((0, 0, 0, 0), (206, 255, 161, 103), (255, 255, 199, 127)),
    "gold": ((0, 0, 0, 0), (128, 150, 110, 10), (200, 235, 190, 60), (255, 255, 245, 170)),
    "sepia": ((0, 0, 0, 0), (128, 146, 128, 100), (255, 255, 240, 215)),
}
"""Knots of grey level, red, green, blue. Nominal: amber's green and blue follow red by powers."""

COLOURLESS = 0.15
"""Chroma per luma below which echoes are grey."""
NEAR = 14.0
"""A known map is taken if the seen colours lie within this distance of it (RGB units)."""
BAR_NEAR = 40.0
"""JPEG smears the colour of a bar that is a few pixels wide: it may be further off."""
BAR_ROWS = 40
BAR_COLUMNS = 3
BAR_DROP = 100
"""A bar is at least this high and wide, and its luma falls at least by this much."""
SAME_RAMP = 12.0
"""Columns of one bar differ by less luma."""
BACKGROUND = 2
"""A dark background goes on below the bar's dark end, this much darker at most."""
STEADY = 24
RISE = 4
"""Luma of a bar varies by less over time and never rises by more from one row to the next."""


@dataclass(frozen=True, kw_only=True)
class ColourMap:
    """``grey_of_luma[luma]`` is the grey level that the map showed in a colour of that luma."""

    name: str
    grey_of_luma: U8
    warning: str | None = None


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A colour bar: its place, and luma and colour of each of its rows from the top."""

    box: Box
    luma: F64
    rgb: F64


def grey_map() -> ColourMap:
    """No colour: luma is the grey level."""
    return ColourMap(name="grey", grey_of_luma=np.arange(256, dtype=np.uint8))


def seen_colours(frames: U8, moving: NDArray[np.bool_]) -> F64:
    """Mean colour of the echoes at each luma, shape (256, 3), NaN where too few were seen."""
    pixels = frames[:, moving][:, ::3].reshape(-1, 3)
    levels = luma(pixels)
    counts = np.bincount(levels, minlength=256)
    sums = [np.bincount(levels, weights=pixels[:, i], minlength=256) for i in range(3)]
    mean = np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None]
    mean[counts < 50] = np.nan
    return np.asarray(mean, np.float64)


def choose_map(seen: F64, bars: tuple[Bar, ...]) -> ColourMap:
    """Choose the way back to grey level for a pane whose echoes have the colours ``seen``."""
    known = np.flatnonzero(np.isfinite(seen[:, 0]))
    known = known[known >= 32]
    if not len(known) or np.median(np.ptp(seen[known], axis=1) / known) < COLOURLESS:
        return grey_map()
    name, distance = _nearest(seen, known)
    for bar in bars:
        if _bar_fits(bar, seen, known):
            return ColourMap(name=f"{name}, read from the colour bar", grey_of_luma=_along_bar(bar))
    if distance <= NEAR:
        return ColourMap(name=name, grey_of_luma=_inverse(*_knots(name)))
    value = seen[known].max(axis=1)
    return ColourMap(
        name="unknown tint",
        grey_of_luma=_inverse(value, known.astype(np.float64)),
        warning="the colour map of the contrast pane is not known and no colour bar was found: "
        "grey level is taken as the brightest channel",
    )


def _nearest(seen: F64, known: NDArray[np.intp]) -> tuple[str, float]:
    """The known map whose colours are nearest at the same luma, and how near."""
    distances = {}
    for name in KNOWN_MAPS:
        grey, levels = _knots(name)
        rgb = _colours(name)
        at = np.interp(known, levels, grey)
        colours = np.stack([np.interp(at, np.arange(256), rgb[:, i]) for i in range(3)], axis=1)
        distances[name] = float(np.linalg.norm(colours - seen[known], axis=1).mean())
    best = min(distances, key=distances.__getitem__)
    return (best if distances[best] <= NEAR else "unknown tint"), distances[best]


def _colours(name: str) -> F64:
    knots = np.array(KNOWN_MAPS[name], np.float64)
    return np.stack([np.interp(np.arange(256), knots[:, 0], knots[:, i]) for i in (1, 2, 3)], 1)


def _knots(name: str) -> tuple[F64, F64]:
    """Grey levels of a known map and the luma of each, in the 8 bits in which it is stored."""
    stored = np.rint(_colours(name)).astype(np.uint8)
    return np.arange(256.0), luma(stored).astype(np.float64)


def _inverse(grey: F64, levels: F64) -> U8:
    """Grey level of every luma, from pairs of both; beyond the ends in proportion.

    Of the grey levels that share a luma, their mean: at the dark end of a tint there are several.
    """
    levels, grey = np.maximum.accumulate(levels), np.maximum.accumulate(grey)
    x, which = np.unique(levels, return_inverse=True)
    y = np.bincount(which, weights=grey) / np.bincount(which)
    if x[0] > 0:
        x, y = np.concatenate([[0.0], x]), np.concatenate([[0.0], y])
    inside = np.interp(np.arange(256), x, y)
    beyond = np.arange(256) > x[-1]
    inside[beyond] = np.arange(256)[beyond] * y[-1] / max(x[-1], 1.0)
    return np.asarray(np.clip(np.rint(inside), 0, 255), np.uint8)


def _bar_fits(bar: Bar, seen: F64, known: NDArray[np.intp]) -> bool:
    """Whether the bar is tinted as the echoes are, and reaches as bright as they do."""
    levels, rgb = bar.luma[::-1], bar.rgb[::-1]
    both = known[known <= levels.max()]
    if len(both) < len(known) * 0.8:
        return False
    colours = np.stack([np.interp(both, levels, rgb[:, i]) for i in range(3)], axis=1)
    return bool(np.linalg.norm(colours - seen[both], axis=1).mean() <= BAR_NEAR)


def _along_bar(bar: Bar) -> U8:
    """Grey level falls evenly from 255 at the bar's top row to 0 at its end.

    Compression blurs a dark end into the tissue below: it is put where the slope would reach 0.
    """
    tail = max(len(bar.luma) // 4, 2)
    slope = (bar.luma[-tail] - bar.luma[-1]) / (tail - 1)
    missing_rows = min(bar.luma[-1] / max(slope, 0.1), tail)
    grey = 255.0 * (1 - np.arange(len(bar.luma)) / (len(bar.luma) - 1 + missing_rows))
    return _inverse(grey[::-1], bar.luma[::-1])


def find_bars(frames: U8) -> tuple[Bar, ...]:
    """Upright bars of frames (T, R, C, 3): steady strips that darken evenly from top to bottom."""
    levels = np.stack([luma(frame) for frame in frames])
    steady = np.ptp(levels, axis=0) < STEADY
    still = np.rint(levels.mean(axis=0, dtype=np.float32)).astype(np.int16)
    first, last = _falling_runs(still, steady)
    picture = frames.mean(axis=0, dtype=np.float32)
    bars = []
    column = 0
    while column < len(first):
        width = _same_run(still, first, last, column) if last[column] else 1
        if width >= BAR_COLUMNS and last[column] - first[column] >= BAR_ROWS:
            bars.append(_bar(picture, still, first, last, column, width))
        column += width
    return tuple(bar for bar in bars if _falls_evenly(bar))


def _falls_evenly(bar: Bar) -> bool:
    """No tenth of a bar is level: text and edges beside it fall at once or not at all."""
    drop = bar.luma[0] - bar.luma[-1]
    at = np.linspace(0, len(bar.luma) - 1, 11).round().astype(int)
    steps = -np.diff(bar.luma[at])
    return bool(drop >= BAR_DROP and len(bar.luma) >= BAR_ROWS and np.all(steps >= drop / 100))


def _falling_runs(
    still: NDArray[np.int16], steady: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last row of each column's long run of falling steady luma with the largest drop."""
    rows, columns = still.shape
    start = np.zeros(columns, np.intp)
    best_drop = np.zeros(columns, np.int16)
    first, last = np.zeros(columns, np.intp), np.zeros(columns, np.intp)
    for row in range(1, rows):
        goes_on = steady[row] & steady[row - 1] & (still[row] <= still[row - 1] + RISE)
        start = np.where(goes_on, start, row)
        drop = still[start, np.arange(columns)] - still[row]
        better = (drop > best_drop) & (row - start >= BAR_ROWS)
        best_drop = np.where(better, drop, best_drop)
        first, last = np.where(better, start, first), np.where(better, row, last)
    return first, last


def _same_run(
    still: NDArray[np.int16], first: NDArray[np.intp], last: NDArray[np.intp], column: int
) -> int:
    """How many columns from ``column`` on start where it does and fall as it does."""
    top, bottom = int(first[column]), int(last[column])
    here = still[top : bottom + 1, column]
    width = 1
    for other in range(column + 1, len(first)):
        apart = np.abs(still[top : bottom + 1, other] - here)
        if abs(int(first[other]) - top) > 3 or float(np.mean(apart)) > SAME_RAMP:
            break
        width += 1
    return width


def _bar(
    picture: NDArray[np.float32],
    still: NDArray[np.int16],
    first: NDArray[np.intp],
    last: NDArray[np.intp],
    column: int,
    width: int,
) -> Bar:
    top = int(np.median(first[column : column + width]))
    bottom = int(np.median(last[column : column + width]))
    middle = slice(column + width // 4, column + width - width // 4)
    levels = np.minimum.accumulate(np.median(still[top : bottom + 1, middle], axis=1))
    rows = int(np.argmax(levels <= levels[-1] + BACKGROUND)) + 1
    rgb = np.median(picture[top : top + rows, middle], axis=1)
    return Bar(
        box=Box(row=top, column=column, rows=rows, columns=width),
        luma=levels[:rows].astype(np.float64),
        rgb=rgb.astype(np.float64),
    )
