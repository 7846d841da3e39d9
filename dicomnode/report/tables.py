"""The parts of the page that are read: answer, sub-regions, contributions, quality, models."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from dicomnode.report.notice import training_notice
from dicomnode.report.style import (
    DECISION_COLOURS,
    FAINT,
    INK,
    MUTED,
    SIZES,
    UNITS,
    blank,
    heading,
    number,
    percent,
    rgb,
    shorten,
)
from dicomnode.science.findings import Check, Findings, Spread, SubRegion

__all__ = [
    "draw_answer",
    "draw_contributions",
    "draw_models",
    "draw_quality",
    "draw_subregions",
]

TABLE_PARAMETERS = ("PE", "TTP", "mTT", "WiR")
COLUMNS = (0.0, 0.37, 0.48, 0.63, 0.755, 0.87)
DECISION_TITLES: Mapping[str, str] = {
    "malignant": "LIKELY MALIGNANT",
    "benign": "LIKELY BENIGN",
    "indeterminate": "INDETERMINATE",
}
GOOD, BAD = "#00695c", "#a63603"


def draw_answer(axes: Axes, findings: Findings, facts: str) -> None:
    """Fill the title bar: decision, probability with its uncertainty, lesion, quality."""
    diagnosis, lesion = findings.diagnosis, findings.lesion
    blank(axes, face=DECISION_COLOURS[diagnosis.decision])
    _say(axes, 0.014, 0.34, DECISION_TITLES[diagnosis.decision], "title", "white", weight="bold")
    _say(axes, 0.014, 0.76, _explanation(findings), "text", "white")
    _gauge(axes, findings)
    size = f"{number(lesion.long_axis_mm)} × {number(lesion.short_axis_mm)} mm"
    _say(axes, 0.60, 0.34, f"{size} · {number(lesion.area_mm2)} mm²", "large", "white")
    _say(axes, 0.60, 0.76, shorten(facts, 50), "text", "white")
    failed = sum(not check.passed for check in findings.quality.checks)
    verdict = f"{failed} check{'s' if failed > 1 else ''} failed" if failed else "all checks passed"
    _say(axes, 0.986, 0.34, f"Quality {findings.quality.grade}", "large", "white", right=True)
    _say(axes, 0.986, 0.76, verdict, "text", "white", right=True)


def draw_subregions(axes: Axes, findings: Findings) -> None:
    """Fill the table of sub-regions: size and kinetic parameters, median and quartiles."""
    heading(axes, "Perfusion sub-regions", "median (quartiles)")
    blank(axes)
    if not findings.subregions:
        _say(axes, 0.0, 0.12, "No sub-region could be told apart reliably.", "text", MUTED)
        return
    _table_head(axes, findings)
    step = min(0.17, 0.86 / len(findings.subregions))
    for row, region in enumerate(findings.subregions):
        _table_row(axes, region, 0.13 + (row + 0.5) * step, step)


def draw_contributions(axes: Axes, findings: Findings) -> None:
    """Draw what spoke for and against malignancy, largest first."""
    heading(axes, "Why", "for benign ◂ ▸ for malignant")
    blank(axes)
    largest = sorted(findings.diagnosis.contributions, key=lambda item: -abs(item.contribution))
    rows = largest[:6]
    if not rows:
        _say(axes, 0.0, 0.1, "No contributions: the classifier gave no answer.", "text", MUTED)
        return
    scale = 0.17 / max(abs(rows[0].contribution), 1e-9)
    axes.plot([0.82, 0.82], [0, 1], color=FAINT, linewidth=1)
    for row, item in enumerate(rows):
        y = (row + 0.5) / 6
        _say(axes, 0.0, y, shorten(item.words, 46), "small", INK)
        _say(axes, 0.64, y, number(item.value), "small", MUTED, right=True)
        colour = DECISION_COLOURS["malignant" if item.contribution > 0 else "benign"]
        axes.barh(y, scale * item.contribution, left=0.82, height=0.09, color=colour)


def draw_quality(axes: Axes, findings: Findings) -> None:
    """List the quality checks, failed ones first."""
    quality = findings.quality
    heading(axes, f"Quality {quality.grade}")
    blank(axes)
    checks = sorted(quality.checks, key=lambda check: check.passed)
    shown = checks[:6] if len(checks) <= 6 else checks[:5]
    for row, check in enumerate(shown):
        _check(axes, check, (row + 0.5) / 6)
    if len(checks) > len(shown):
        rest = checks[len(shown) :]
        passed = sum(check.passed for check in rest)
        text = f"and {len(rest)} more, {passed} passed"
        _say(axes, 0.035, 5.5 / 6, text, "small", MUTED)


def draw_models(axes: Axes, findings: Findings) -> None:
    """List the models and what they were trained on, and how grey became power."""
    heading(axes, "Made with")
    blank(axes)
    lines = [
        (f"{model.name} {model.version}", f"trained on {model.trained_on} · {model.sha256[:8]}")
        for model in findings.models[:4]
    ]
    source = (
        f"dynamic range {number(findings.dynamic_range_db)} dB ({findings.dynamic_range_source})"
    )
    used = int(findings.kept.sum())
    lines.append((source, f"{used} of {len(findings.kept)} frames used"))
    for row, (first, second) in enumerate(lines):
        y = (row + 0.25) / 5
        _say(axes, 0.0, y, shorten(first, 52), "small", INK)
        _say(axes, 0.0, y + 0.09, shorten(second, 60), "small", MUTED)


def _explanation(findings: Findings) -> str:
    diagnosis = findings.diagnosis
    if diagnosis.reasons:
        room = 62 if diagnosis.malignant_probability is not None else 112
        return shorten("; ".join(reason.text for reason in diagnosis.reasons), room)
    if diagnosis.malignant_probability is None:
        return "the classifier gave no answer"
    if diagnosis.decision == "indeterminate":
        return "the answer is not certain enough either way"
    warning = training_notice(findings)
    return warning or f"answers hold {percent(diagnosis.coverage)} of the time in validation"


def _gauge(axes: Axes, findings: Findings) -> None:
    """Draw the probability of malignancy on a scale from 0 to 100 % with its interval."""
    left, width, y = 0.30, 0.25, 0.70
    probability, interval = findings.diagnosis.malignant_probability, findings.diagnosis.interval
    if probability is None:
        _say(axes, left, 0.34, "no probability given", "large", "white")
        return
    spread = "" if interval is None else f"  ({percent(interval[0])} to {percent(interval[1])})"
    _say(axes, left, 0.34, f"{percent(probability)} malignant{spread}", "large", "white")
    axes.plot([left, left + width], [y, y], color="white", alpha=0.35, linewidth=5)
    if interval is not None:
        ends = [left + width * end for end in interval]
        axes.plot(ends, [y, y], color="white", alpha=0.75, linewidth=5, solid_capstyle="butt")
    axes.plot(left + width * probability, y, "o", color="white", markersize=11)


def _table_head(axes: Axes, findings: Findings) -> None:
    parameters = findings.subregions[0].parameters
    titles = ["", "area"]
    for name in TABLE_PARAMETERS:
        spread = parameters.get(name)
        unit = "" if spread is None else UNITS.get(spread.unit, spread.unit)
        titles.append(f"{name} ({unit})" if unit else name)
    for x, title in zip(COLUMNS, titles, strict=True):
        _say(axes, x, 0.06, title, "small", MUTED)
    axes.plot([0, 1], [0.115, 0.115], color=FAINT, linewidth=1)


def _table_row(axes: Axes, region: SubRegion, y: float, step: float) -> None:
    swatch = Rectangle((0, y - 0.3 * step), 0.022, 0.6 * step, color=rgb(region.rgb))
    axes.add_patch(swatch)
    _say(axes, 0.035, y, shorten(region.label, 32), "text", INK)
    _say(axes, COLUMNS[1], y - 0.03, percent(region.fraction), "text", INK)
    _say(axes, COLUMNS[1], y + 0.035, f"{number(region.area_mm2)} mm²", "small", MUTED)
    for x, name in zip(COLUMNS[2:], TABLE_PARAMETERS, strict=True):
        spread = region.parameters.get(name)
        _say(axes, x, y - 0.03, number(spread.median if spread else None), "text", INK)
        _say(axes, x, y + 0.035, _quartiles(spread), "small", MUTED)


def _quartiles(spread: Spread | None) -> str:
    return "" if spread is None else f"{number(spread.q1, 2)}–{number(spread.q3, 2)}"


def _check(axes: Axes, check: Check, y: float) -> None:
    if not check.passed:
        _say(axes, 0.0, y, "✗", "text", BAD, weight="bold")
        _say(axes, 0.05, y, shorten(check.words, 82), "small", BAD)
        return
    _say(axes, 0.0, y, "✓", "text", GOOD, weight="bold")
    _say(axes, 0.05, y, check.name, "small", INK)
    unit = UNITS.get(check.unit, check.unit)
    value = f"{number(check.value)} {unit}".strip()
    _say(axes, 1.0, y, f"{value}  (limit {number(check.limit)})", "small", MUTED, right=True)


def _say(
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
