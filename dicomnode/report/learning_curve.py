"""Panels on how a classifier grows with the exams it learns from."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from dicomnode.report.panels import OURS, WIDTH, dress
from dicomnode.report.style import INK, MUTED, PANEL, SIZES, blank, heading, say

__all__ = ["LearningCurve", "draw_learning_curve"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LearningCurve:
    """Answers to exams that were not learnt from, at K numbers of exams that were.

    Attributes
    ----------
    exams : ndarray of int64, shape (K,)
        Exams learnt from, rising. K is 0 where there are too few exams to tell.
    auc, log_loss : ndarray of float64, shape (K,)
        Means over the draws; log loss in nats.
    auc_sd, log_loss_sd : ndarray of float64, shape (K,)
        Standard deviations over the draws; NaN where there is one draw.
    chance : float
        Log loss of the answer that is the share of malignant exams, to all.
    bundle : int
        Exams that the bundle's own model learnt from.
    words : str
        What the points are.
    """

    exams: NDArray[np.int64]
    auc: Floats
    auc_sd: Floats
    log_loss: Floats
    log_loss_sd: Floats
    chance: float
    bundle: int
    words: str


def draw_learning_curve(area: Axes, loss: Axes, found: LearningCurve) -> None:
    """Draw area under the ROC curve and log loss by the number of exams learnt from."""
    heading(area, "Learning curve: AUC", found.words)
    heading(loss, "Learning curve: log loss", "after calibration, in nats; lower is better")
    if not found.exams.size:
        for axes in (area, loss):
            say(blank(axes, face=PANEL), 0.04, 0.1, "too few exams to tell", "text", MUTED)
        return
    _draw(area, found, found.auc, found.auc_sd, 1)
    area.set_ylabel("AUC, exams not learnt from")
    lowest = float((found.auc - np.nan_to_num(found.auc_sd)).min())
    floor = min(0.5, np.floor(10 * lowest) / 10)
    area.set(ylim=(floor, 1.06), yticks=np.arange(floor, 1.01, 0.1))
    _draw(loss, found, found.log_loss, found.log_loss_sd, -1)
    loss.set_ylabel("log loss, exams not learnt from")
    highest = float((found.log_loss + np.nan_to_num(found.log_loss_sd)).max())
    loss.set_ylim(0, 1.15 * max(found.chance, highest))
    loss.axhline(found.chance, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    loss.annotate(
        "without features: the share of malignant exams as answer to all",
        (0.985, found.chance),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        fontsize=SIZES["small"],
        color=MUTED,
    )


def _draw(axes: Axes, found: LearningCurve, mean: Floats, sd: Floats, side: int) -> None:
    """Draw means and standard deviations by logarithm; numbers stand above (1) or below (-1)."""
    exams = found.exams
    dress(axes, f"exams learnt from (the bundle itself: {found.bundle})", "")
    axes.set_xscale("log")
    axes.set_xlim(exams[0] / 1.25, exams[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(exams.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{count}" for count in exams])
    axes.vlines(exams, mean - sd, mean + sd, color=OURS, alpha=0.45, linewidth=2.2)
    axes.plot(exams, mean, "o-", color=OURS, linewidth=WIDTH, markersize=8, markeredgecolor="white")
    for count, value, reach in zip(exams, mean, np.nan_to_num(sd), strict=True):
        axes.annotate(
            f"{value:.2f}",
            (count, value + side * reach),
            xytext=(0, 7 * side),
            textcoords="offset points",
            ha="center",
            va="bottom" if side > 0 else "top",
            fontsize=SIZES["small"],
            color=INK,
        )
