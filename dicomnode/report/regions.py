"""The table of regions: size, kinetics, and how they stand against reference tissue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from dicomnode.report.style import (
    BAD,
    FAINT,
    INK,
    MUTED,
    UNITS,
    blank,
    heading,
    number,
    percent,
    rgb,
    say,
    shorten,
)
from dicomnode.science.findings import Findings, Spread, Stability
from dicomnode.science.kinetics import PARAMETERS

__all__ = ["draw_regions"]

SHOWN = ("PE", "TTP", "mTT", "WiR", "arrival")
COLUMNS = (0.0, 0.345, 0.455, 0.575, 0.675, 0.775, 0.905)
STEADY: tuple[tuple[float, str, str], ...] = (
    (0.8, "steady against noise", MUTED),
    (0.6, "borders shift with noise, the pattern stays", MUTED),
    (-1.0, "noise alone gives another map: do not rely on it", BAD),
)
"""Least index, words and colour of each degree of stability; the limits are this project's.

Resampling tells of noise only: an outline or a dynamic range that is wrong repeats perfectly.
"""
HEAD, FOOT = 0.115, 0.075
LINE_PX = 9
"""Most by which a line of a row lies off the row's middle."""
SLIM = 0.62
"""Height of a row of one line, in rows of two."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A row of the table; without ``relative`` it has one line."""

    label: str
    colour: tuple[float, float, float] | None
    area: str
    area_mm2: str
    parameters: Mapping[str, Spread]
    relative: Mapping[str, Spread]

    @property
    def height(self) -> float:
        return 1.0 if self.relative else SLIM


def draw_regions(axes: Axes, findings: Findings) -> None:
    """Fill the table: each region's medians, and below them how they stand against tissue."""
    heading(axes, "Perfusion sub-regions", "medians · small: against reference tissue")
    blank(axes)
    rows = list(_rows(findings))
    if not rows:
        say(axes, 0.0, 0.12, "No sub-region could be told apart reliably.", "text", MUTED)
        return
    _head(axes)
    step = min(0.17, (1 - HEAD - FOOT) / sum(row.height for row in rows))
    y = HEAD
    for row, before in zip(rows, [None, *rows], strict=False):
        if before is not None and before.colour is not None and row.colour is None:
            axes.plot([0, 1], [y, y], color=FAINT, linewidth=1)
        _draw(axes, row, y + row.height * step / 2, step)
        y += row.height * step
    if findings.stability is not None:
        _foot(axes, findings.stability, y + FOOT / 2)


def _rows(findings: Findings) -> Iterator[_Row]:
    """Yield the sub-regions, then what they are to be read against."""
    for region in findings.subregions:
        yield _Row(
            label=region.label,
            colour=rgb(region.rgb),
            area=percent(region.fraction),
            area_mm2=f"{number(region.area_mm2)} mm²",
            parameters=region.parameters,
            relative=region.relative,
        )
    if findings.whole.parameters:
        yield _Row(
            label="whole lesion",
            colour=None,
            area="100 %",
            area_mm2=f"{number(findings.lesion.area_mm2)} mm²",
            parameters=findings.whole.parameters,
            relative=findings.whole.relative,
        )
    if findings.tissue.parameters:
        yield _Row(
            label="reference tissue",
            colour=None,
            area="",
            area_mm2="",
            parameters=findings.tissue.parameters,
            relative={},
        )


def _head(axes: Axes) -> None:
    units = {item.name: UNITS.get(item.unit, item.unit) for item in PARAMETERS}
    titles = ["", "area", *(f"{name} ({units[name]})" for name in SHOWN)]
    for x, title in zip(COLUMNS, titles, strict=True):
        say(axes, x, 0.05, title, "small", MUTED)
    axes.plot([0, 1], [HEAD - 0.015] * 2, color=FAINT, linewidth=1)


def _draw(axes: Axes, row: _Row, y: float, step: float) -> None:
    if row.colour is not None:
        height = 0.62 * row.height * step
        axes.add_patch(Rectangle((0, y - height / 2), 0.022, height, color=row.colour))
    say(axes, 0.035, y, shorten(row.label, 30), "text", INK)
    apart = min(0.22 * step, LINE_PX / axes.bbox.height) if row.relative else 0
    above, below = y - apart, y + apart
    say(axes, COLUMNS[1], above, row.area, "text", INK)
    for x, name in zip(COLUMNS[2:], SHOWN, strict=True):
        spread = row.parameters.get(name)
        say(axes, x, above, number(None if spread is None else spread.median), "text", INK)
    if row.relative:
        say(axes, COLUMNS[1], below, row.area_mm2, "small", MUTED)
        for x, name in zip(COLUMNS[2:], SHOWN, strict=True):
            say(axes, x, below, _against(row.relative.get(name)), "small", MUTED)


def _against(spread: Spread | None) -> str:
    """Write a ratio as "6.6 ×" and a difference with its sign."""
    if spread is None:
        return ""
    if spread.unit == "1":
        return f"{number(spread.median, 2)} ×"
    return f"{round(spread.median, 1) + 0.0:+.1f} s".replace("-", "−")


def _foot(axes: Axes, stability: Stability, y: float) -> None:
    found = (degree for degree in STEADY if stability.ari >= degree[0])
    _, words, colour = next(found, STEADY[-1])
    repeat = f"Sub-regions repeat: {number(stability.ari, 2)} of 1"
    times = f"in {stability.replicates} resamplings of the loop"
    say(axes, 0.0, y, f"{repeat} {times} · {words}", "small", colour)
