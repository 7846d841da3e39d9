"""Style of the pictures: colours, text sizes, and the few marks every panel shares."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dicomnode.science.answer import percent

__all__ = [
    "BACKGROUND",
    "BAD",
    "CAUTION",
    "FAINT",
    "GOOD",
    "INK",
    "MUTED",
    "PANEL",
    "SIZES",
    "TITLE",
    "UNITS",
    "blank",
    "heading",
    "number",
    "percent",
    "picture",
    "rgb",
    "say",
    "shorten",
]

DPI = 100
BACKGROUND = "#ffffff"
PANEL = "#f4f6f8"
INK = "#1b232b"
MUTED = "#5b6772"
FAINT = "#d5dbe1"
GOOD, BAD = "#00695c", "#a63603"
CAUTION = "#fff1d6"
TITLE = "#33475b"
"""Ground of the title bar, the same whatever the answer is."""
SIZES: Mapping[str, float] = {"title": 23, "large": 15, "heading": 11.5, "text": 10, "small": 8.8}
UNITS: Mapping[str, str] = {
    "1": "",
    "{a.u.}": "a.u.",
    "{a.u.}/s": "a.u./s",
    "{a.u.}.s": "a.u. s",
    "mm2": "mm²",
}
"""UCUM symbols as people write them."""


def rgb(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """Return an sRGB 0-255 colour as matplotlib wants it."""
    return colour[0] / 255, colour[1] / 255, colour[2] / 255


def number(value: float | None, digits: int = 3) -> str:
    """Return a value with as many significant digits, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{decimals}f}" if abs(value) >= 1e-3 else f"{value:.{digits - 1}g}"


def shorten(text: str, length: int) -> str:
    """Cut a text to this many characters, with an ellipsis where it was longer."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def blank(axes: Axes, *, face: str | None = None) -> Axes:
    """Make axes a plain sheet, 0 to 1 both ways with the origin at the top left."""
    axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if face is None:
        axes.patch.set_visible(False)
    else:
        axes.set_facecolor(face)
    return axes


def heading(axes: Axes, text: str, note: str = "") -> None:
    """Put a panel's heading above it, and a note in lighter ink to the right."""
    plain: dict[str, Any] = {"pad": 6, "parse_math": False}
    axes.set_title(
        text, loc="left", fontsize=SIZES["heading"], color=INK, fontweight="bold", **plain
    )
    if note:
        axes.set_title(note, loc="right", fontsize=SIZES["small"], color=MUTED, **plain)


def say(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    size: str,
    colour: str,
    *,
    weight: str = "normal",
    right: bool = False,
) -> None:
    """Write a line, centred at ``y``, from ``x`` on or up to it."""
    axes.text(
        *(x, y, text),
        fontsize=SIZES[size],
        color=colour,
        fontweight=weight,
        ha="right" if right else "left",
        va="center",
        parse_math=False,
        clip_on=True,
    )


def picture(figure: Figure) -> NDArray[np.uint8]:
    """Render a figure to sRGB, (H, W, 3)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    rgba = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(rgba[..., :3], dtype=np.uint8)
