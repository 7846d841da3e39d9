"""Sub-regions painted over an image: colours on pixels, nothing else.

A transparent picture is float32 of shape (R, C, 4): three colours multiplied by alpha, and alpha,
all 0 to 1.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation, binary_erosion

from dicomnode.report.notice import SHORT_NOTICE, training_notice
from dicomnode.science.answer import headline, verdict
from dicomnode.science.findings import PALETTE, Findings

__all__ = ["LoopPainter", "layer"]

Picture = NDArray[np.uint8]
Pane = tuple[slice, slice]
"""Rows and columns of an image, both with start and stop."""
Cut = tuple[NDArray[np.float32], NDArray[np.int64]]
"""A transparent picture and where its corner lies in the pane."""

FILL = 0.38
EDGE = 0.95
OUTLINE_RGB = (255, 255, 255)
BANNER_RGB = (20, 24, 28)
TEXT_RGB = (236, 239, 241)
JFIF = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
"""Y, Cb and Cr from RGB (JFIF 1.02), Cb and Cr around 0."""
FONT = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


def layer(findings: Findings, *, fill: float = FILL) -> NDArray[np.float32]:
    """Return the sub-regions as a transparent picture.

    Returns
    -------
    ndarray of float32, shape (R, C, 4)
        sRGB multiplied by alpha, and alpha, all 0 to 1: filled sub-regions with firm edges.
    """
    labels = findings.subregion_map
    picture = np.zeros((*labels.shape, 4), np.float32)
    for number, rgb in PALETTE.items():
        mask = labels == number
        if mask.any():
            alpha = np.where(mask & ~binary_erosion(mask, border_value=1), EDGE, fill)
            colour = np.array([*rgb, 255], np.float32) / 255
            picture[mask] = (alpha[..., None] * colour)[mask]
    return picture


def outline(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the line just outside a mask as a transparent picture like :func:`layer`'s."""
    line = binary_dilation(mask) & ~mask
    picture = np.zeros((*mask.shape, 4), np.float32)
    picture[line] = np.array([*OUTLINE_RGB, 255], np.float32) / 255
    return picture


class LoopPainter:
    """Paints findings over the grey frames of their loop in YCbCr, moved with the tissue, in place.

    Frames that were left out as out of plane stay unpainted: where the lesion lies in them is not
    known.
    """

    def __init__(self, findings: Findings, contrast: Pane, bmode: Pane | None = None) -> None:
        self._findings = findings
        line = outline(findings.lesion_mask)
        outlined = np.where(line[..., 3:] > 0, line, layer(findings))
        self._layers = [_Layer(_in_ycbcr(outlined), contrast)]
        if bmode is not None:
            self._layers.append(_Layer(_in_ycbcr(line), bmode))

    def paint(self, luma: Picture, chroma: Picture, frame: int) -> None:
        """Paint sub-regions over the contrast pane and the outline over both.

        Parameters
        ----------
        luma : ndarray of uint8, shape (R, C)
        chroma : ndarray of uint8, shape (2, R, (C + 1) // 2)
            Cb and Cr, 128 where the image is grey, one sample for two pixels side by side.
        frame : int
            Number of the exam's frame, from 0.
        """
        if self._findings.kept[frame]:
            for each in self._layers:
                each.over(luma, chroma, self._findings.shift_px[frame])

    def banner(self, width: int) -> tuple[Picture, Picture]:
        """Return luma and chroma of a strip with the legend and what the picture is."""
        strip = np.asarray(Image.fromarray(banner(self._findings, width)).convert("YCbCr"))
        return np.ascontiguousarray(strip[..., 0]), _halved(strip[..., 1:].astype(np.float32))


class _Paint(NamedTuple):
    """A picture as it is laid over an image, from one of its even columns on."""

    luma: NDArray[np.float32]
    """What it adds."""
    keep: NDArray[np.float32]
    """The share of what was there that it leaves."""
    chroma: Picture
    """Cb and Cr of the picture over grey."""
    coloured: NDArray[np.bool_]
    """Where chroma is the picture's."""


class _Layer:
    """A transparent picture that is laid over a pane, each time moved by another shift.

    Shifts are rounded to a quarter of a pixel, which no eye tells, so that the few pictures between
    pixels are made once.
    """

    def __init__(self, picture: NDArray[np.float32], pane: Pane) -> None:
        self._part, self._corner = _cut(picture)
        self._pane = pane
        self._paints: dict[tuple[int, int, int], _Paint] = {}

    def over(self, luma: Picture, chroma: Picture, shift_px: NDArray[np.float64]) -> None:
        """Lay it over an image, clipped where it leaves the pane: luma blended, chroma set."""
        quarters = np.rint(4 * shift_px).astype(int)
        (row, column), (below, right) = self._corner + quarters // 4, quarters % 4
        row, column = row + self._pane[0].start, column + self._pane[1].start
        paint = self._between_pixels(int(below), int(right), int(column) % 2)
        column -= column % 2
        rows = _common(self._pane[0], row, paint.luma.shape[0])
        columns = _common(self._pane[1], column, paint.luma.shape[1])
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        here = _displaced(rows, -row), _displaced(columns, -column)
        luma[rows, columns] = luma[rows, columns] * paint.keep[here] + paint.luma[here]
        pairs = slice(columns.start // 2, (columns.stop + 1) // 2)
        there = here[0], _displaced(pairs, -column // 2)
        np.copyto(chroma[:, rows, pairs], paint.chroma[:, *there], where=paint.coloured[there])

    def _between_pixels(self, below: int, right: int, odd: int) -> _Paint:
        """Return the picture moved by quarters of a pixel, and by one pixel where that is odd."""
        if (below, right, odd) not in self._paints:
            moved = _between(self._part, below / 4, right / 4)
            moved = np.pad(moved, ((0, 0), (odd, (odd + moved.shape[1]) % 2), (0, 0)))
            alpha, colour = moved[..., 3], 255 * moved[..., :3]
            over_grey = colour[..., 1:] + 128 * (1 - alpha[..., None])
            self._paints[below, right, odd] = _Paint(
                luma=colour[..., 0] + np.float32(0.5),
                keep=1 - alpha,
                chroma=_halved(over_grey),
                coloured=(alpha[:, ::2] > 0) | (alpha[:, 1::2] > 0),
            )
        return self._paints[below, right, odd]


def _common(pane: slice, start: int, length: int) -> slice:
    return slice(max(pane.start, start), min(pane.stop, start + length))


def _displaced(places: slice, by: int) -> slice:
    return slice(places.start + by, places.stop + by)


def _halved(chroma: NDArray[np.float32]) -> Picture:
    """Return Cb and Cr (R, C, 2) as planes (2, R, (C + 1) // 2), the mean of two pixels each."""
    even = np.pad(chroma, ((0, 0), (0, chroma.shape[1] % 2), (0, 0)), mode="edge")
    planes = np.moveaxis((even[:, ::2] + even[:, 1::2]) / 2 + np.float32(0.5), -1, 0)
    return np.ascontiguousarray(planes.astype(np.uint8))


def banner(findings: Findings, width: int) -> Picture:
    """Return a strip (H, width, 3): a legend of the sub-regions above the notice."""
    size = 18 if width >= 1200 else 13 if width >= 480 else 10
    font = ImageFont.truetype(str(FONT), size)
    entries = [(region.label, region.rgb) for region in findings.subregions]
    notices = [*_unjudged(findings), SHORT_NOTICE, training_notice(findings)]
    line = size + 6
    rows = _wrapped([(text, size + 8 + font.getlength(text) + 14) for text, _ in entries], width)
    texts = _fitted([text for text in notices if text], font, width)
    strip = Image.new("RGB", (width, line * (len(rows) + len(texts)) + 6), BANNER_RGB)
    draw = ImageDraw.Draw(strip)
    for number, row in enumerate(rows):
        for index, x in row:
            text, rgb = entries[index]
            top = 4 + number * line
            draw.rectangle((x, top + 2, x + size, top + 2 + size - 2), fill=rgb)
            draw.text((x + size + 6, top), text, font=font, fill=TEXT_RGB)
    for number, text in enumerate(texts, start=len(rows)):
        draw.text((6, 4 + number * line), text, font=font, fill=TEXT_RGB)
    return np.asarray(strip)


def _unjudged(findings: Findings) -> list[str]:
    """Say that and why there is no answer: an outline alone looks sure of itself."""
    if findings.diagnosis.malignant_probability is not None:
        return []
    return [f"{headline(findings.diagnosis)}: {verdict(findings.diagnosis).partition(';')[0]}"]


def _wrapped(entries: list[tuple[str, float]], width: int) -> list[list[tuple[int, float]]]:
    """Break legend entries into rows: for each row, (entry, x) pairs."""
    rows: list[list[tuple[int, float]]] = []
    x = float(width)
    for index, (_, length) in enumerate(entries):
        if x + length > width:
            rows.append([])
            x = 6.0
        rows[-1].append((index, x))
        x += length
    return rows


def _fitted(notices: list[str], font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Put notices into one line, else each into one of its own, else into as many as they need."""
    joined = " · ".join(notices)
    if font.getlength(joined) < width - 12:
        return [joined]
    lines: list[str] = []
    for notice in notices:
        first, *words = notice.split(" ")
        lines.append(first)
        for word in words:
            longer = f"{lines[-1]} {word}"
            if font.getlength(longer) < width - 12:
                lines[-1] = longer
            else:
                lines.append(word)
    return lines


def _in_ycbcr(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn a transparent picture of RGB into one of YCbCr (JFIF)."""
    colour, alpha = picture[..., :3] @ JFIF.T, picture[..., 3:]
    colour[..., 1:] += alpha * np.float32(128 / 255)
    return np.concatenate([colour, alpha], axis=-1)


def _cut(picture: NDArray[np.float32]) -> Cut:
    """Cut a transparent picture to what is painted and a pixel around it; return its corner too."""
    padded = np.pad(picture, ((1, 2), (1, 2), (0, 0)))
    rows, columns = (np.flatnonzero(padded[..., 3].any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return padded[:1, :1], np.zeros(2, np.int64)
    top, left = rows[0] - 1, columns[0] - 1
    part = padded[top : rows[-1] + 3, left : columns[-1] + 3]
    return np.ascontiguousarray(part), np.array([top - 1, left - 1])


def _between(part: NDArray[np.float32], rows: float, columns: float) -> NDArray[np.float32]:
    """Move a picture, empty at its rim, by a part of a pixel down and to the right."""
    moved = part.copy()
    moved *= 1 - rows
    moved[1:] += rows * part[:-1]
    result = moved * (1 - columns)
    result[:, 1:] += columns * moved[:, :-1]
    return result
