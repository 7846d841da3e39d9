"""Ways in which an image may be divided into panes, from what moves in it and in which colours."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.box import Box, around

__all__ = [
    "BRIGHT",
    "COLOURED",
    "HARDLY",
    "MOSTLY",
    "Arrangement",
    "Echoes",
    "Layout",
    "arrangements",
]

U8 = NDArray[np.uint8]
Layout = Literal["side by side", "one above the other", "single"]
Arrangement = tuple[tuple[Box, ...], Layout]

MOVING = 24
"""A pixel whose brightest channel varies more than this over the clip shows echoes, not ink."""
BRIGHT = 48
"""Colour of darker pixels drowns in the noise of compression."""
COLOURED = 0.3
"""Chroma, as a fraction of the brightest channel, from which a pixel has a colour."""
MOSTLY = 0.6
HARDLY = 0.15
SAME_SIZE = 0.05
SMALLEST_PANE = 0.3
"""A pane shows echoes in at least this share of the part of the image that is taken for it."""
SEAM = 0.35
"""Two panes meet where neighbouring lines correlate less than this fraction of what is usual."""


@dataclass(frozen=True)
class Echoes:
    """What moves, and in which colours.

    Per pixel: whether it moves, how often it is bright, and coloured, and its summed hue vector.
    ``together`` holds, for columns and for rows, how far each line fluctuates as the next does.
    """

    moving: NDArray[np.bool_]
    bright: NDArray[np.int32]
    coloured: NDArray[np.int32]
    hue: NDArray[np.complex64]
    together: tuple[NDArray[np.float32], NDArray[np.float32]]

    @classmethod
    def of(cls, frames: U8) -> "Echoes":
        """Look at frames of shape (T, R, C, 3)."""
        shape = frames.shape[1:3]
        bright, coloured = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        hue = np.zeros(shape, np.complex64)
        red, green, blue = (frames[..., channel] for channel in range(3))
        value = np.maximum(np.maximum(red, green), blue)
        moving = np.asarray(np.ptp(value, axis=0) > MOVING)
        for t, (frame, top) in enumerate(zip(frames, value, strict=True)):
            low = np.minimum(np.minimum(red[t], green[t]), blue[t])
            is_bright = moving & (top > BRIGHT)
            is_coloured = is_bright & (low < (1 - COLOURED) * top)
            bright += is_bright
            coloured += is_coloured
            hue[is_coloured] += _hue(frame[is_coloured])
        return cls(moving, bright, coloured, hue, _togetherness(value))

    def share(self, box: Box) -> float:
        """Share of coloured among bright echoes."""
        bright = self.bright[box.slices].sum()
        return float(self.coloured[box.slices].sum() / bright) if bright else 0.0

    def one_hue(self, box: Box) -> float:
        """1: all colours are of one hue."""
        coloured = self.coloured[box.slices].sum()
        return float(abs(self.hue[box.slices].sum()) / coloured) if coloured else 1.0


def _togetherness(value: U8) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Correlation of the lines either side of each column, and of each row, over time."""
    off_mean = value - value.mean(axis=0, dtype=np.float32)
    power = np.square(off_mean).sum(axis=0)
    found = []
    for axis in (0, 1):
        lines = np.moveaxis(off_mean, axis + 1, 1)
        both = np.einsum("ta...,ta...->...", lines[..., :-2], lines[..., 2:])
        line_power = power.sum(axis=axis)
        scale = np.sqrt(line_power[:-2] * line_power[2:])
        found.append(np.pad(both / np.maximum(scale, 1e-6), 1, mode="edge"))
    return found[0], found[1]


def _hue(rgb: U8) -> NDArray[np.complex64]:
    """Unit vector of each colour's hue."""
    parts = rgb.astype(np.float32) @ np.exp(2j * np.pi * np.arange(3) / 3).astype(np.complex64)
    return np.asarray(parts / np.maximum(np.abs(parts), 1e-6), np.complex64)


def arrangements(echoes: Echoes, regions: list[Box]) -> list[Arrangement]:
    """Ways to see the image: paired regions, else a region split where the tint begins, else whole.

    The likely ones first; two grey panes in one region are told by their seam.
    """
    pair = _paired(regions)
    if pair is not None:
        return [pair]
    largest = max(regions, key=lambda box: box.area)
    split = _split_by_tint(echoes, largest)
    if split is not None:
        return [split]
    whole: tuple[tuple[Box, ...], Layout] = ((largest,), "single")
    seam = _split_at_seam(echoes, largest) if echoes.share(largest) < HARDLY else None
    return [whole] if seam is None else [seam, whole]


def _paired(regions: list[Box]) -> tuple[tuple[Box, Box], Layout] | None:
    """Two regions of one size that do not overlap."""
    for i, first in enumerate(regions):
        for second in regions[i + 1 :]:
            same = (
                abs(first.rows - second.rows) <= SAME_SIZE * first.rows
                and abs(first.columns - second.columns) <= SAME_SIZE * first.columns
            )
            if same and first.overlap(second) < 0.02 * first.area:
                return _ordered(first, second)
    return None


def _ordered(a: Box, b: Box) -> tuple[tuple[Box, Box], Layout]:
    """Two boxes cut to one size, left before right, upper before lower."""
    rows, columns = min(a.rows, b.rows), min(a.columns, b.columns)
    beside = abs(a.column - b.column) >= abs(a.row - b.row)
    first, second = sorted((a, b), key=lambda box: box.column if beside else box.row)
    boxes = tuple(
        Box(row=box.row, column=box.column, rows=rows, columns=columns) for box in (first, second)
    )
    return (boxes[0], boxes[1]), "side by side" if beside else "one above the other"


def _split_by_tint(echoes: Echoes, box: Box) -> tuple[tuple[Box, Box], Layout] | None:
    """Where grey echoes end and tinted ones begin, along columns or along rows."""
    best: tuple[float, int, int] = (MOSTLY - HARDLY, 0, -1)
    for axis in (0, 1):
        bright = echoes.bright[box.slices].sum(axis=axis).cumsum()
        coloured = echoes.coloured[box.slices].sum(axis=axis).cumsum()
        size = len(bright)
        cuts = np.arange(size // 4, size - size // 4)
        before = coloured[cuts - 1] / np.maximum(bright[cuts - 1], 1)
        after = (coloured[-1] - coloured[cuts - 1]) / np.maximum(bright[-1] - bright[cuts - 1], 1)
        contrast = np.abs(after - before)
        at = int(contrast.argmax())
        if contrast[at] > best[0]:
            best = (float(contrast[at]), axis, int(cuts[at]))
    if best[2] < 0:
        return None
    return _two_panes(echoes, _cut(box, best[1], best[2]))


def _cut(box: Box, axis: int, at: int) -> tuple[Box, Box]:
    """Two parts of a box, cut before column ``at`` (axis 0) or row ``at`` (axis 1) of it."""
    if axis == 0:
        return (
            Box(row=box.row, column=box.column, rows=box.rows, columns=at),
            Box(row=box.row, column=box.column + at, rows=box.rows, columns=box.columns - at),
        )
    return (
        Box(row=box.row, column=box.column, rows=at, columns=box.columns),
        Box(row=box.row + at, column=box.column, rows=box.rows - at, columns=box.columns),
    )


def _split_at_seam(echoes: Echoes, box: Box) -> tuple[tuple[Box, Box], Layout] | None:
    """Where neighbouring lines stop fluctuating together, in the middle of a grey image."""
    best: tuple[float, int, int] = (SEAM, 0, -1)
    for axis in (0, 1):
        together = echoes.together[axis][box.slices[1 - axis]]
        size = len(together)
        cuts = np.arange(size * 3 // 8, size - size * 3 // 8)
        drop = together[cuts] / max(float(np.median(together)), 1e-6)
        at = int(drop.argmin())
        if drop[at] < best[0]:
            best = (float(drop[at]), axis, int(cuts[_middle_of_gap(drop, at)]))
    if best[2] < 0:
        return None
    return _two_panes(echoes, _cut(box, best[1], best[2]))


def _middle_of_gap(drop: NDArray[np.float32], at: int) -> int:
    """Middle of the run of lines around ``at`` that are about as low: panes may have a gap."""
    higher = np.flatnonzero(drop > drop[at] + 0.05)
    before, after = higher[higher < at], higher[higher > at]
    first = int(before[-1]) + 1 if len(before) else 0
    last = int(after[0]) - 1 if len(after) else len(drop) - 1
    return (first + last + 1) // 2


def _two_panes(echoes: Echoes, parts: tuple[Box, Box]) -> tuple[tuple[Box, Box], Layout] | None:
    """What moves in two parts of the image, if it fills both and could be one place twice."""
    contents = [_content(echoes, part) for part in parts]
    filled = [
        content.area >= SMALLEST_PANE * part.area
        for content, part in zip(contents, parts, strict=True)
    ]
    if not all(filled):
        return None
    first, second = contents
    beside = parts[0].row == parts[1].row
    span = around(first, second)
    if beside:
        contents = [replace(box, row=span.row, rows=span.rows) for box in contents]
    else:
        contents = [replace(box, column=span.column, columns=span.columns) for box in contents]
    return _ordered(*contents)


def _content(echoes: Echoes, box: Box) -> Box:
    """The part of a box in which anything moves: rows and columns with at least 2 % of echoes."""
    moving = echoes.moving[box.slices]
    rows = np.flatnonzero(moving.mean(axis=1) > 0.02)
    columns = np.flatnonzero(moving.mean(axis=0) > 0.02)
    if not len(rows) or not len(columns):
        return Box(row=box.row, column=box.column, rows=1, columns=1)
    return Box(
        row=box.row + int(rows[0]),
        column=box.column + int(columns[0]),
        rows=int(rows[-1] - rows[0]) + 1,
        columns=int(columns[-1] - columns[0]) + 1,
    )
