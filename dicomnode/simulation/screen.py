"""The scanner's screen: where the panes lie, and the graphics burned into the picture."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dicomnode.simulation.tints import colours

__all__ = ["LAYOUTS", "Corner", "Layout", "Screen", "screen"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One make of screen."""

    arrangement: Literal["side by side", "one above the other", "single"]
    contrast_first: bool = False
    header_px: int = 0
    """Height of the strip with text above the panes."""
    footer_px: int = 0
    border_px: int = 0
    gap_px: int = 0
    bar: Literal["first pane", "contrast", "outside"] = "first pane"
    """Where the colour bar is burned in."""
    side_px: int = 0
    """Width of the strip right of the panes."""
    scale: Literal["right", "left", "none"] = "right"
    badges: tuple[str, str] = ("M", "C")
    """Marks of the B-mode and the contrast pane."""
    ink: tuple[int, int, int] = (150, 235, 245)
    one_region: bool = False
    """Whether the header declares both panes as a single ultrasound region."""


LAYOUTS: Mapping[str, Layout] = {
    "mono-left": Layout(arrangement="side by side"),
    "contrast-left": Layout(
        arrangement="side by side",
        contrast_first=True,
        header_px=36,
        footer_px=18,
        border_px=8,
        gap_px=6,
        bar="contrast",
        scale="left",
        badges=("B", "CHI"),
        ink=(230, 230, 230),
    ),
    "wide-header": Layout(
        arrangement="side by side",
        header_px=52,
        footer_px=0,
        border_px=20,
        gap_px=12,
        bar="outside",
        side_px=40,
        badges=("2D", "Contrast"),
        one_region=True,
        ink=(250, 220, 90),
    ),
    "stacked": Layout(
        arrangement="one above the other",
        header_px=30,
        border_px=10,
        gap_px=10,
        bar="outside",
        side_px=44,
        badges=("B", "CPS"),
        ink=(120, 220, 120),
    ),
    "single": Layout(
        arrangement="single",
        header_px=30,
        border_px=6,
        bar="contrast",
        badges=("", "CEUS"),
        ink=(240, 240, 240),
    ),
    "bmode": Layout(
        arrangement="single", header_px=30, border_px=6, badges=("", "B"), ink=(240, 240, 240)
    ),
}
"""``bmode`` is a scanner without contrast mode; the others show contrast."""


@dataclass(frozen=True)
class Corner:
    """Where a pane begins in the frame."""

    row: int
    column: int


@dataclass(frozen=True, kw_only=True)
class Screen:
    """A layout filled with panes of one size.

    Attributes
    ----------
    ink : ndarray of uint8, shape (H, W, 3)
        Burned-in text, colour bar and scale on black.
    inked : ndarray of bool, shape (H, W)
        Where the graphics cover the picture.
    """

    rows: int
    columns: int
    pane: tuple[int, int]
    contrast: Corner
    bmode: Corner | None
    tint: str
    ink: Pixels
    inked: NDArray[np.bool_]
    one_region: bool

    def pane_ink(self, corner: Corner) -> tuple[NDArray[np.bool_], Pixels]:
        """Graphics over one pane: where, and their luma."""
        part = np.s_[
            corner.row : corner.row + self.pane[0], corner.column : corner.column + self.pane[1]
        ]
        luma = self.ink[part] @ np.array([0.299, 0.587, 0.114])
        return self.inked[part].copy(), np.asarray(np.rint(luma), np.uint8)

    def frames(self, contrast: Pixels, bmode: Pixels | None) -> Iterator[Pixels]:
        """Paint frame after frame, (H, W, 3)."""
        lut = colours(self.tint)
        for t in range(len(contrast)):
            frame = np.zeros((self.rows, self.columns, 3), np.uint8)
            self._place(frame, self.contrast, lut[contrast[t]])
            if self.bmode is not None and bmode is not None:
                self._place(frame, self.bmode, np.repeat(bmode[t][..., None], 3, axis=2))
            frame[self.inked] = self.ink[self.inked]
            yield frame

    def _place(self, frame: Pixels, corner: Corner, pane: Pixels) -> None:
        bottom, right = corner.row + self.pane[0], corner.column + self.pane[1]
        frame[corner.row : bottom, corner.column : right] = pane


def screen(
    layout_name: str, tint: str, *, pane: tuple[int, int], spacing_mm: float, text: tuple[str, ...]
) -> Screen:
    """Lay out panes of ``pane`` rows and columns and burn the graphics in."""
    layout = LAYOUTS[layout_name]
    rows, columns, corners = _arrange(layout, pane)
    first = corners[0]
    single = layout.arrangement == "single"
    contrast = corners[0] if layout.contrast_first or single else corners[1]
    bmode = None if single else corners[1 if layout.contrast_first else 0]
    canvas = Image.new("RGBA", (columns, rows), (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    small = pane[0] < 220
    font = ImageFont.load_default(size=9 if small else 13)
    _header(draw, layout, font, text)
    _marks(draw, layout, font, contrast=contrast, bmode=bmode)
    for corner in corners:
        _scale(draw, layout, font, corner, pane, spacing_mm)
    _bar(canvas, layout, tint, pane, {"first pane": first, "contrast": contrast}.get(layout.bar))
    pixels = np.asarray(canvas)
    return Screen(
        rows=rows,
        columns=columns,
        pane=pane,
        contrast=contrast,
        bmode=bmode,
        tint=tint,
        ink=np.ascontiguousarray(pixels[..., :3]),
        inked=pixels[..., 3] > 127,
        one_region=layout.one_region,
    )


def _arrange(layout: Layout, pane: tuple[int, int]) -> tuple[int, int, list[Corner]]:
    """Frame size, even for JPEG's chroma, and the corner of each pane."""
    top, left = layout.header_px, layout.border_px
    beside = layout.arrangement == "side by side"
    below = layout.arrangement == "one above the other"
    rows = pane[0] * (2 if below else 1) + (layout.gap_px if below else 0)
    columns = pane[1] * (2 if beside else 1) + (layout.gap_px if beside else 0)
    corners = [Corner(top, left)]
    if beside:
        corners.append(Corner(top, left + pane[1] + layout.gap_px))
    if below:
        corners.append(Corner(top + pane[0] + layout.gap_px, left))
    height = top + rows + layout.footer_px
    width = columns + 2 * left + layout.side_px
    return height + height % 2, width + width % 2, corners


def _header(
    draw: ImageDraw.ImageDraw,
    layout: Layout,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    text: tuple[str, ...],
) -> None:
    if layout.header_px:
        for i, line in enumerate(text[: max(1, layout.header_px // 15)]):
            draw.text((layout.border_px + 2, 1 + 15 * i), line, fill=(*layout.ink, 255), font=font)


def _marks(
    draw: ImageDraw.ImageDraw,
    layout: Layout,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    *,
    contrast: Corner,
    bmode: Corner | None,
) -> None:
    for mark, corner in zip(layout.badges, (bmode, contrast), strict=True):
        if corner is not None:
            at = (corner.column + 32, corner.row + 1)
            draw.text(at, mark, fill=(*layout.ink, 255), font=font)


def _scale(
    draw: ImageDraw.ImageDraw,
    layout: Layout,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    corner: Corner,
    pane: tuple[int, int],
    spacing_mm: float,
) -> None:
    """Depth ticks every 5 mm, longer with a number every 10 mm."""
    if layout.scale == "none":
        return
    right = layout.scale == "right"
    edge = corner.column + (pane[1] - 1 if right else 0)
    inwards = -1 if right else 1
    for half_cm in range(int(pane[0] * spacing_mm / 5) + 1):
        row = corner.row + round(half_cm * 5 / spacing_mm)
        whole = half_cm % 2 == 0
        start = edge + inwards * (14 if whole else 10)
        draw.line([(start, row), (start - inwards * (4 if whole else 1), row)], layout.ink)
        if whole and half_cm:
            at = (edge - (8 if right else 0), row - 6)
            draw.text(at, str(half_cm // 2), fill=(*layout.ink, 255), font=font)


def _bar(
    canvas: Image.Image, layout: Layout, tint: str, pane: tuple[int, int], corner: Corner | None
) -> None:
    """Grey and tinted ramps, bright end up."""
    height = min(100, pane[0] // 3)
    ramp = np.linspace(255, 0, height).astype(np.uint8)
    grey = np.repeat(np.stack([ramp] * 3, axis=-1)[:, None], 5, axis=1)
    tinted = np.repeat(colours(tint)[ramp][:, None], 6, axis=1)
    bar = Image.fromarray(np.concatenate([grey, tinted], axis=1)).convert("RGBA")
    if corner is None:
        at = (canvas.width - layout.side_px + 12, layout.header_px + 8)
    else:
        at = (corner.column + 5, corner.row + 3)
    canvas.paste(bar, at)
