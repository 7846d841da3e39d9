"""One page on how well a classifier does: ROC, calibration, decision curve and confusion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from dicomnode.report.style import (
    BACKGROUND,
    DECISION_COLOURS,
    DPI,
    FAINT,
    INK,
    MUTED,
    PANEL,
    SIZES,
    blank,
    heading,
    picture,
    say,
)

__all__ = ["Accuracy", "Calibration", "Confusion", "DecisionCurve", "Roc", "accuracy_page"]

WIDTH_PX, HEIGHT_PX = 1400, 1240
OURS, OTHERS = "#0072b2", ("#d55e00", "#465a69", "#009e73")
DASHES = ((0, (5, 2)), (0, (1, 1.4)), (0, (5, 1.5, 1, 1.5)))
WIDTH, THIN = 2.4, 1.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Roc:
    """A named ROC curve: shares of false and of true positives, from (0, 0) to (1, 1)."""

    name: str
    area: str
    """In words: the area and its interval."""
    false_positive: Floats
    true_positive: Floats


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Bins of probability: mean answer, share that came true with its interval, and count."""

    said: Floats
    share: Floats
    low: Floats
    high: Floats
    count: NDArray[np.int64]
    words: str
    """Summary in words, such as Brier score and calibration error."""


@dataclass(frozen=True, kw_only=True)
class DecisionCurve:
    """Net benefit at thresholds of probability (K,), by what is acted on."""

    thresholds: Floats
    benefit: Mapping[str, Floats]
    """The classifier first, then the strategies it is held against."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Exams by truth (rows) and answer (columns); ``words`` say what they come to."""

    name: str
    truths: tuple[str, ...]
    answers: tuple[str, ...]
    count: NDArray[np.int64]
    words: str


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Everything the page shows. ``notice`` stands in its title and its foot."""

    title: str
    notice: str
    conditions: str
    software: str
    roc: tuple[Roc, ...]
    """The classifier's first."""
    calibration: Calibration
    decision_curve: DecisionCurve
    confusions: tuple[Confusion, Confusion]


def accuracy_page(found: Accuracy) -> NDArray[np.uint8]:
    """Render the page, shape (1240, 1400, 3)."""
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor=BACKGROUND)
    _title(_axes(figure, 0, 0, WIDTH_PX, 96), found)
    _draw_roc(_axes(figure, 92, 150, 560, 430), found.roc)
    _draw_calibration(
        _axes(figure, 786, 150, 560, 340), _axes(figure, 786, 506, 560, 74), found.calibration
    )
    _draw_decision_curve(_axes(figure, 92, 690, 560, 430), found.decision_curve)
    for top, confusion in zip((690, 930), found.confusions, strict=True):
        _draw_confusion(_axes(figure, 746, top, 600, 190), confusion)
    _foot(_axes(figure, 0, HEIGHT_PX - 44, WIDTH_PX, 44), found)
    return picture(figure)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a place given in pixels from the top left."""
    bottom = HEIGHT_PX - top - height
    return figure.add_axes(
        (left / WIDTH_PX, bottom / HEIGHT_PX, width / WIDTH_PX, height / HEIGHT_PX)
    )


def _title(axes: Axes, found: Accuracy) -> None:
    blank(axes, face=INK)
    say(axes, 0.02, 0.36, found.title, "title", "white", weight="bold")
    say(axes, 0.02, 0.77, found.conditions, "text", "white")
    say(axes, 0.98, 0.36, found.notice, "large", "white", weight="bold", right=True)


def _foot(axes: Axes, found: Accuracy) -> None:
    blank(axes, face="#eef1f4")
    say(axes, 0.02, 0.5, found.notice, "text", INK, weight="bold")
    say(axes, 0.98, 0.5, found.software, "small", MUTED, right=True)


def _dress(axes: Axes, x: str, y: str) -> None:
    """Give axes their labels, in percent, and a faint grid."""
    axes.set_xlabel(x, fontsize=SIZES["text"], color=MUTED, labelpad=7)
    axes.set_ylabel(y, fontsize=SIZES["text"], color=MUTED, labelpad=7)
    axes.tick_params(labelsize=SIZES["small"], colors=MUTED, length=0)
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(FAINT)


def _legend(axes: Axes, where: Literal["upper right", "lower right"]) -> None:
    axes.legend(
        loc=where,
        fontsize=SIZES["text"],
        labelcolor=INK,
        facecolor="white",
        edgecolor="none",
        framealpha=0.9,
        handlelength=2.6,
    )


def _percents(axes: Axes) -> None:
    ticks = np.linspace(0, 1, 6)
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), xticks=ticks, yticks=ticks)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def _draw_roc(axes: Axes, curves: tuple[Roc, ...]) -> None:
    heading(axes, "ROC", "area (DeLong 95 % interval)")
    _dress(axes, "false positives, share of benign", "sensitivity, share of malignant")
    _percents(axes)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=THIN, zorder=1)
    for number, curve in enumerate(curves):
        colour, dash = (OURS, "-") if number == 0 else (OTHERS[number - 1], DASHES[number - 1])
        axes.plot(
            curve.false_positive,
            curve.true_positive,
            color=colour,
            linestyle=dash,
            linewidth=THIN if number else WIDTH,
            label=f"{curve.name}  {curve.area}",
            zorder=4 - 0.1 * number,
            clip_on=False,
        )
    _legend(axes, "lower right")


def _draw_calibration(axes: Axes, below: Axes, found: Calibration) -> None:
    heading(axes, "Calibration", found.words)
    _dress(axes, "", "came true, share malignant")
    _percents(axes)
    axes.tick_params(labelbottom=False)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    axes.vlines(found.said, found.low, found.high, color=OURS, alpha=0.45, linewidth=2.2)
    axes.plot(
        *(found.said, found.share, "o"),
        color=OURS,
        markersize=8,
        markeredgecolor="white",
        label="bins of 10 %, Wilson 95 % interval",
        clip_on=False,
        zorder=4,
    )
    axes.plot([], [], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), label="as said")
    _legend(axes, "lower right")
    _draw_counts(below, found)


def _draw_counts(axes: Axes, found: Calibration) -> None:
    _dress(axes, "probability of malignancy, as said", "exams")
    axes.grid(visible=False)
    axes.set(xlim=(-0.015, 1.015), xticks=np.linspace(0, 1, 6), yticks=[])
    axes.set_ylim(0, 1.45 * max(found.count.max(initial=0), 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    middle = np.minimum(np.floor(found.said * 10), 9) / 10 + 0.05
    axes.bar(middle, found.count, width=0.092, color=OURS, alpha=0.35)
    for x, count in zip(middle, found.count, strict=True):
        axes.annotate(
            *(str(count), (x, count)),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=SIZES["small"],
            color=INK,
        )


def _draw_decision_curve(axes: Axes, found: DecisionCurve) -> None:
    heading(axes, "Decision curve", "net benefit against acting on all or on none")
    _dress(axes, "threshold: probability from which one acts", "net benefit, per exam")
    styles = [(OURS, "-", WIDTH), *zip(OTHERS, DASHES, (THIN,) * 3, strict=True)]
    for (name, values), (colour, dash, width) in zip(found.benefit.items(), styles, strict=False):
        axes.plot(
            found.thresholds, values, color=colour, linestyle=dash, linewidth=width, label=name
        )
    best = max(float(values.max(initial=0.0)) for values in found.benefit.values())
    axes.set(xlim=(0, 1), ylim=(-0.25 * max(best, 0.1), 1.12 * max(best, 0.1)))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    _legend(axes, "upper right")


def _draw_confusion(axes: Axes, found: Confusion) -> None:
    """Draw truth by answer: the deeper the cell, the larger its share of the row."""
    heading(axes, found.name, found.words)
    blank(axes)
    left, top = 0.22, 0.19
    width, height = (1 - left) / len(found.answers), (1 - top) / len(found.truths)
    for column, answer in enumerate(found.answers):
        x = left + (column + 0.5) * width
        axes.text(x, 0.1, answer, fontsize=SIZES["text"], color=MUTED, ha="center", va="center")
    for row, truth in enumerate(found.truths):
        y = top + (row + 0.5) * height
        say(axes, 0.0, y - 0.05, "truly", "small", MUTED)
        say(axes, 0.0, y + 0.06, truth, "large", DECISION_COLOURS.get(truth, INK), weight="bold")
        total = max(int(found.count[row].sum()), 1)
        for column, answer in enumerate(found.answers):
            count = int(found.count[row, column])
            corner = left + column * width, top + row * height
            colour = DECISION_COLOURS.get(answer, DECISION_COLOURS["indeterminate"])
            _cell(axes, corner, (width, height), colour, count, count / total)


def _cell(
    axes: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    colour: str,
    count: int,
    weight: float,
) -> None:
    gap, alpha = 0.006, 0.12 + 0.88 * weight if count else 0.0
    place = (corner[0] + gap, corner[1] + 2.5 * gap), size[0] - 2 * gap, size[1] - 5 * gap
    axes.add_patch(Rectangle(*place, color=PANEL, linewidth=0))
    axes.add_patch(Rectangle(*place, color=colour, linewidth=0, alpha=alpha))
    x, y = corner[0] + size[0] / 2, corner[1] + size[1] / 2
    axes.text(
        *(x, y, str(count)),
        fontsize=SIZES["title"],
        color="white" if weight > 0.45 else INK if count else MUTED,
        fontweight="bold",
        ha="center",
        va="center",
    )
