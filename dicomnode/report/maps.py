"""Images of the lesion: B-mode, contrast with sub-regions, parameter maps."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import AxesImage
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from dicomnode.report.paint import layer
from dicomnode.report.style import BACKGROUND, INK, MUTED, SIZES, UNITS, heading, number
from dicomnode.science.findings import UNRELIABLE, Findings
from dicomnode.science.kinetics import PARAMETERS
from dicomnode.science.quality import withheld

__all__ = ["MAPS", "aspect", "draw_bmode", "draw_contrast", "draw_map"]

COLOUR_MAPS: Mapping[str, str] = {"PE": "inferno", "TTP": "viridis_r", "mTT": "cividis_r"}
MAPS = tuple(COLOUR_MAPS)
WIDE = 12.0
"""Ratio of the upper to the lower limit from which a colour scale is logarithmic."""


def draw_bmode(axes: Axes, findings: Findings) -> None:
    """Show the B-mode pane with the lesion's outline, or say that there is none."""
    sure = "size" not in withheld(findings.quality)
    heading(axes, "B-mode", "lesion outline" if sure else "outline uncertain")
    if findings.bmode_image is None:
        _absent(axes, "no B-mode pane\nin this exam")
        return
    _show(axes, findings, findings.bmode_image)
    draw_outline(axes, findings)
    _scale_bar(axes, findings)


def draw_contrast(axes: Axes, findings: Findings) -> None:
    """Show the contrast pane around peak enhancement with sub-regions over it."""
    ratio = findings.lesion.enlargement_ratio
    known = ratio is not None and "size" not in withheld(findings.quality)
    enlarged = f"{number(ratio)} × B-mode area" if known else "perfusion sub-regions"
    heading(axes, "Contrast, peak", enlarged)
    _show(axes, findings, findings.contrast_peak)
    axes.imshow(
        straight(layer(findings)),
        aspect=aspect(findings),
        interpolation="nearest",
    )
    draw_outline(axes, findings)
    _scale_bar(axes, findings)


def draw_map(axes: Axes, findings: Findings, name: str) -> None:
    """Show one parameter where it is reliable, over the dimmed contrast pane, with its units."""
    parameter = next(item for item in PARAMETERS if item.name == name)
    unit = UNITS.get(parameter.unit, parameter.unit)
    heading(axes, f"{name} ({unit})")
    values = np.asarray(findings.maps.get(name, np.full(findings.lesion_mask.shape, np.nan)))
    reliable = findings.lesion_mask & (findings.subregion_map != UNRELIABLE)
    values = np.where(reliable, values, np.nan)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        _absent(axes, "not measurable")
        return
    _show(axes, findings, findings.contrast_peak // 2)
    image = axes.imshow(
        values,
        cmap=COLOUR_MAPS.get(name, "viridis"),
        norm=_norm(finite),
        aspect=aspect(findings),
        interpolation="nearest",
    )
    _zoom(axes, findings.lesion_mask)
    _colour_bar(axes, image)


def draw_outline(axes: Axes, findings: Findings) -> None:
    """Draw the lesion's outlines, white with a dark rim so that they show on any tissue."""
    for outline in findings.lesion.outlines:
        closed = np.vstack([outline, outline[:1]])
        axes.plot(closed[:, 1], closed[:, 0], color="black", linewidth=2.6, alpha=0.55)
        axes.plot(closed[:, 1], closed[:, 0], color="white", linewidth=1.3)


def straight(premultiplied: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a transparent picture with colours not multiplied by alpha, as matplotlib wants."""
    alpha = premultiplied[..., 3:]
    colours = premultiplied[..., :3] / np.where(alpha > 0, alpha, 1)
    return np.concatenate([colours, alpha], axis=-1).astype(np.float32)


def aspect(findings: Findings) -> float:
    """Return height over width of a pixel in millimetres."""
    return findings.spacing_mm[0] / findings.spacing_mm[1]


def _show(axes: Axes, findings: Findings, grey: NDArray[np.uint8]) -> None:
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, aspect=aspect(findings))
    axes.set(xticks=[], yticks=[], facecolor="black")
    axes.set_anchor("N")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _absent(axes: Axes, text: str) -> None:
    axes.set(xticks=[], yticks=[], facecolor="#e9edf0")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.text(
        *(0.5, 0.5, text),
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=MUTED,
        fontsize=SIZES["heading"],
    )


def _scale_bar(axes: Axes, findings: Findings) -> None:
    """Draw a bar of 10 mm, or 5 mm where the pane is small."""
    rows, columns = findings.contrast_image.shape
    width_mm = columns * findings.spacing_mm[1]
    length_mm = 10 if width_mm > 25 else 5
    length = length_mm / findings.spacing_mm[1]
    right, row = 0.96 * columns, 0.95 * rows
    axes.plot([right - length, right], [row, row], color="white", linewidth=2.5)
    axes.text(
        right - length / 2,
        row - 0.012 * rows,
        f"{length_mm} mm",
        color="white",
        ha="center",
        va="bottom",
        fontsize=SIZES["small"],
    )


def _zoom(axes: Axes, mask: NDArray[np.bool_]) -> None:
    rows, columns = np.nonzero(mask)
    margin = 4 + 0.06 * max(np.ptp(rows), np.ptp(columns))
    axes.set_xlim(columns.min() - margin, columns.max() + margin)
    axes.set_ylim(rows.max() + margin, rows.min() - margin)


def _norm(finite: NDArray[np.floating]) -> Normalize:
    """Scale colours between the 2nd and 98th percentile, by ratio where they span a wide range."""
    low, high = (float(value) for value in np.percentile(finite, (2, 98)))
    if high <= low:
        low, high = low - 0.5 * abs(low) - 1e-6, high + 0.5 * abs(high) + 1e-6
    if low > 0 and high / low > WIDE:
        return LogNorm(low, high, clip=True)
    return Normalize(low, high, clip=True)


def _colour_bar(axes: Axes, image: AxesImage) -> None:
    beside = axes.inset_axes((1.03, 0, 0.06, 1))
    colour_bar = axes.figure.colorbar(image, cax=beside)
    low, high = image.get_clim()
    assert low is not None
    assert high is not None
    if isinstance(image.norm, LogNorm):
        ticks = np.geomspace(low, high, 4)
    else:
        ticks = np.asarray(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
        ticks = ticks[(ticks >= low) & (ticks <= high)]
    colour_bar.ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    colour_bar.ax.yaxis.set_minor_locator(NullLocator())
    colour_bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 2)))
    colour_bar.ax.tick_params(labelsize=SIZES["small"], colors=INK, length=2)
    colour_bar.outline.set_visible(False)
    colour_bar.ax.set_facecolor(BACKGROUND)
