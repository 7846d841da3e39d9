"""One page on how well a classifier does: as it is evaluated, and as it comes out of training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dicomnode.report.learning_curve import LearningCurve, draw_learning_curve
from dicomnode.report.panels import (
    Calibration,
    Confusion,
    DecisionCurve,
    Roc,
    draw_calibration,
    draw_confusion,
    draw_decision_curve,
    draw_roc,
)
from dicomnode.report.style import BACKGROUND, DPI, INK, MUTED, blank, picture, say

__all__ = ["Accuracy", "Caption", "accuracy_page", "training_page"]

WIDTH_PX = 1400
EVALUATED_PX, TRAINED_PX = 1240, 1800
"""Heights of the two pages."""


@dataclass(frozen=True, kw_only=True)
class Caption:
    """What a page says of its figures; ``notice`` stands in its title and its foot."""

    title: str
    notice: str
    conditions: str
    software: str


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What both pages show."""

    caption: Caption
    roc: tuple[Roc, ...]
    """The classifier's first, then at most three."""
    calibration: Calibration
    decision_curve: DecisionCurve
    confusions: tuple[Confusion, Confusion]


def accuracy_page(found: Accuracy) -> NDArray[np.uint8]:
    """Render an evaluation, sRGB, shape (1240, 1400, 3)."""
    figure, caption = _sheet(EVALUATED_PX), found.caption
    title = blank(_axes(figure, 0, 0, WIDTH_PX, 96), face=INK)
    say(title, 0.02, 0.36, caption.title, "title", "white", weight="bold")
    say(title, 0.02, 0.77, caption.conditions, "text", "white")
    say(title, 0.98, 0.36, caption.notice, "large", "white", weight="bold", right=True)
    _draw(figure, 150, found)
    _foot(_axes(figure, 0, EVALUATED_PX - 44, WIDTH_PX, 44), caption)
    return picture(figure)


def training_page(
    found: Accuracy, learning: LearningCurve, remarks: Sequence[str]
) -> NDArray[np.uint8]:
    """Render a training, sRGB, shape (1800, 1400, 3).

    Parameters
    ----------
    found : Accuracy
        Of exams that the answering model had not learnt from.
    learning : LearningCurve
    remarks : sequence of str
        What to bear in mind, a line each; at most three.
    """
    figure, caption = _sheet(TRAINED_PX), found.caption
    title = blank(_axes(figure, 0, 0, WIDTH_PX, 124), face=INK)
    say(title, 0.02, 0.3, caption.title, "title", "white", weight="bold")
    say(title, 0.02, 0.6, caption.notice, "text", "white", weight="bold")
    say(title, 0.02, 0.82, caption.conditions, "text", "white")
    _draw(figure, 178, found)
    draw_learning_curve(
        _axes(figure, 92, 1258, 560, 370), _axes(figure, 786, 1258, 560, 370), learning
    )
    below = blank(_axes(figure, 0, 1688, WIDTH_PX, 60))
    for line, remark in enumerate(remarks):
        say(below, 0.02, (line + 0.5) / 3, remark, "small", MUTED)
    _foot(_axes(figure, 0, TRAINED_PX - 44, WIDTH_PX, 44), caption)
    return picture(figure)


def _sheet(height_px: int) -> Figure:
    return Figure(figsize=(WIDTH_PX / DPI, height_px / DPI), dpi=DPI, facecolor=BACKGROUND)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a place given in pixels from the top left."""
    sheet_px = figure.get_figheight() * DPI
    bottom = sheet_px - top - height
    return figure.add_axes(
        (left / WIDTH_PX, bottom / sheet_px, width / WIDTH_PX, height / sheet_px)
    )


def _draw(figure: Figure, top: float, found: Accuracy) -> None:
    """Fill 970 pixels from ``top`` on with the panels of both pages."""
    draw_roc(_axes(figure, 92, top, 560, 430), found.roc)
    draw_calibration(
        _axes(figure, 786, top, 560, 340),
        _axes(figure, 786, top + 356, 560, 74),
        found.calibration,
    )
    draw_decision_curve(_axes(figure, 92, top + 540, 560, 430), found.decision_curve)
    for below, confusion in zip((540, 780), found.confusions, strict=True):
        draw_confusion(_axes(figure, 746, top + below, 600, 190), confusion)


def _foot(axes: Axes, caption: Caption) -> None:
    blank(axes, face="#eef1f4")
    say(axes, 0.02, 0.5, caption.notice, "text", INK, weight="bold")
    say(axes, 0.98, 0.5, caption.software, "small", MUTED, right=True)
