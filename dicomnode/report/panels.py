"""Panels on how well a classifier does: ROC, calibration, decision curve and confusion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from dicomnode.report.style import (
    FAINT,
    INK,
    MUTED,
    PANEL,
    SIZES,
    blank,
    heading,
    say,
)

__all__ = [
    "OURS",
    "THIN",
    "WIDTH",
    "Calibration",
    "Confusion",
    "DecisionCurve",
    "Roc",
    "draw_calibration",
    "draw_confusion",
    "draw_decision_curve",
    "draw_roc",
    "dress",
    "legend",
]

OURS, OTHERS = "#0072b2", ("#d55e00", "#465a69", "#009e73")
KINDS: Mapping[str, str] = {"malignant": "#a63603", "benign": "#00695c"}
"""Colour of a kind whose truth is known."""
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
    note: str = ""
    """A further line in the legend."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Bins of probability: mean answer, share that came true with its interval, and count."""

    predicted: Floats
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


def dress(axes: Axes, x: str, y: str) -> None:
    """Give axes their labels and a faint grid."""
    axes.set_xlabel(x, fontsize=SIZES["text"], color=MUTED, labelpad=7)
    axes.set_ylabel(y, fontsize=SIZES["text"], color=MUTED, labelpad=7)
    axes.tick_params(labelsize=SIZES["small"], colors=MUTED, length=0)
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(FAINT)


def legend(axes: Axes, where: Literal["upper right", "lower right"]) -> None:
    """Name what is drawn, in a corner of the axes; a dollar sign in a name is one."""
    box = axes.legend(
        loc=where,
        fontsize=SIZES["text"],
        labelcolor=INK,
        facecolor="white",
        edgecolor="none",
        framealpha=0.9,
        handlelength=2.6,
    )
    for text in box.get_texts():
        text.set_parse_math(False)


def _percents(axes: Axes) -> None:
    ticks = np.linspace(0, 1, 6)
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), xticks=ticks, yticks=ticks)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def draw_roc(axes: Axes, curves: tuple[Roc, ...]) -> None:
    """Draw ROC curves, the classifier's first; at most three beside it."""
    heading(axes, "ROC", "area (DeLong 95 % interval)")
    dress(axes, "false positives, share of benign", "sensitivity, share of malignant")
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
            label=f"{curve.name}  {curve.area}" + (f"\n{curve.note}" if curve.note else ""),
            zorder=4 - 0.1 * number,
            clip_on=False,
        )
    legend(axes, "lower right")


def draw_calibration(axes: Axes, below: Axes, found: Calibration) -> None:
    """Draw what came true by what was predicted, and ``below`` how many exams that rests on."""
    heading(axes, "Calibration", found.words)
    dress(axes, "", "came true, share malignant")
    _percents(axes)
    axes.tick_params(labelbottom=False)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    axes.vlines(found.predicted, found.low, found.high, color=OURS, alpha=0.45, linewidth=2.2)
    axes.plot(
        *(found.predicted, found.share, "o"),
        color=OURS,
        markersize=8,
        markeredgecolor="white",
        label="bins of 10 %, Wilson 95 % interval",
        clip_on=False,
        zorder=4,
    )
    axes.plot([], [], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), label="as predicted")
    legend(axes, "lower right")
    _draw_counts(below, found)


def _draw_counts(axes: Axes, found: Calibration) -> None:
    dress(axes, "probability of malignancy, as predicted", "exams")
    axes.grid(visible=False)
    axes.set(xlim=(-0.015, 1.015), xticks=np.linspace(0, 1, 6), yticks=[])
    axes.set_ylim(0, 1.45 * max(found.count.max(initial=0), 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    middle = np.minimum(np.floor(found.predicted * 10), 9) / 10 + 0.05
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


def draw_decision_curve(axes: Axes, found: DecisionCurve) -> None:
    """Draw net benefit by threshold."""
    heading(axes, "Decision curve", "net benefit against acting on all or on none")
    dress(axes, "threshold: probability from which one acts", "net benefit, per exam")
    styles = [(OURS, "-", WIDTH), *zip(OTHERS, DASHES, (THIN,) * 3, strict=True)]
    for (name, values), (colour, dash, width) in zip(found.benefit.items(), styles, strict=False):
        axes.plot(
            found.thresholds, values, color=colour, linestyle=dash, linewidth=width, label=name
        )
    best = max(float(values.max(initial=0.0)) for values in found.benefit.values())
    axes.set(xlim=(0, 1), ylim=(-0.25 * max(best, 0.1), 1.12 * max(best, 0.1)))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    legend(axes, "upper right")


def draw_confusion(axes: Axes, found: Confusion) -> None:
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
        say(axes, 0.0, y + 0.06, truth, "large", KINDS.get(truth, INK), weight="bold")
        total = max(int(found.count[row].sum()), 1)
        for column, answer in enumerate(found.answers):
            count = int(found.count[row, column])
            corner = left + column * width, top + row * height
            colour = KINDS.get(answer, OTHERS[1])
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
