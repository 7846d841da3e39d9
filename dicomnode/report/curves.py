"""Time-intensity curves: measured points and fitted model, one colour per region."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.markers import CARETUP

from dicomnode.report.style import FAINT, INK, MUTED, SIZES, heading, rgb
from dicomnode.science.findings import PALETTE, Curve, Findings

__all__ = ["draw_curves"]

OTHERS = {"lesion": (INK, "--"), "reference tissue": (MUTED, ":")}


def draw_curves(axes: Axes, findings: Findings) -> None:
    """Draw the mean curve of every region: dots as measured, lines as fitted.

    A mark below each sub-region's curve points at the median arrival in its pixels, as the table
    has it.
    """
    heading(axes, "Time-intensity curves", "dots measured · lines fitted · ▴ arrival")
    axes.set_xlabel("seconds", fontsize=SIZES["small"], color=MUTED)
    axes.set_ylabel("echo power (a.u.)", fontsize=SIZES["small"], color=MUTED)
    axes.tick_params(labelsize=SIZES["small"], colors=MUTED, length=0)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(FAINT)
    for curve in findings.curves:
        _draw(axes, findings, curve)
    _frame(axes, findings)


def _draw(axes: Axes, findings: Findings, curve: Curve) -> None:
    colour: str | tuple[float, float, float]
    if curve.number is None:
        colour, line = OTHERS.get(curve.name, (MUTED, "-."))
        label, width = curve.name, 1.4
    else:
        colour, line = rgb(PALETTE.get(curve.number, (0, 0, 0))), "-"
        label, width = "", 2.0
    axes.plot(findings.times_s, curve.power, ".", color=colour, markersize=4.5, alpha=0.5)
    arrivals = {one.number: one.parameters.get("arrival") for one in findings.subregions}
    if curve.number is not None and (arrival := arrivals.get(curve.number)) is not None:
        _mark(axes, arrival.median, curve.baseline or 0.0, colour)
    if np.isfinite(curve.fitted).any():
        axes.plot(findings.times_s, curve.fitted, line, color=colour, linewidth=width, label=label)
    elif label:
        axes.plot([], [], ".", color=colour, label=f"{label} (no fit)")


def _mark(
    axes: Axes, arrival_s: float, baseline: float, colour: str | tuple[float, float, float]
) -> None:
    """Point from below at where the bolus arrives, at the level from which it rises."""
    axes.plot(
        arrival_s,
        baseline,
        marker=CARETUP,
        color=colour,
        markersize=9,
        markeredgecolor="white",
        markeredgewidth=0.6,
        zorder=4,
    )


def _frame(axes: Axes, findings: Findings) -> None:
    axes.set_xlim(float(findings.times_s[0]), float(findings.times_s[-1]))
    values = [curve.power[np.isfinite(curve.power)] for curve in findings.curves]
    values += [curve.fitted[np.isfinite(curve.fitted)] for curve in findings.curves]
    together = np.concatenate([*values, [0.0]])
    top = float(np.percentile(together, 99.8)) if together.size > 1 else 0.0
    top = 1.08 * top if top > 0 else 1.0
    axes.set_ylim(-0.035 * top, top)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(
            loc="upper right", fontsize=SIZES["small"], frameon=False, labelcolor=INK, ncols=2
        )
