"""The parts of the page that are read: answer, warnings, contributions, quality, models."""

import textwrap

from matplotlib.axes import Axes

from dicomnode.report.style import (
    BAD,
    CAUTION,
    FAINT,
    GOOD,
    INK,
    MUTED,
    SIZES,
    TITLE,
    UNITS,
    blank,
    heading,
    number,
    percent,
    say,
    shorten,
)
from dicomnode.science.answer import (
    because,
    headline,
    mean_of,
    premises,
    range_of,
    verdict,
)
from dicomnode.science.findings import Check, Diagnosis, Findings
from dicomnode.science.quality import withheld

__all__ = [
    "draw_answer",
    "draw_contributions",
    "draw_models",
    "draw_quality",
    "draw_warnings",
    "warning_lines",
]

WARNINGS = 3
"""Most lines of warnings that the page has room for."""
ROW = 6
"""Rows of a panel at the foot of the page."""


def draw_answer(axes: Axes, findings: Findings, facts: str) -> None:
    """Fill the title bar: probability with what it assumes, or why there is none; lesion, quality.

    The bar looks the same whatever the answer is.
    """
    diagnosis, lesion = findings.diagnosis, findings.lesion
    blank(axes, face=TITLE)
    say(axes, 0.014, 0.28, headline(diagnosis), "title", "white", weight="bold")
    for y, text in zip((0.62, 0.84), _explanation(findings), strict=False):
        say(axes, 0.014, y, text, "text", "white")
    _gauge(axes, diagnosis)
    size = f"{number(lesion.long_axis_mm)} × {number(lesion.short_axis_mm)} mm"
    where = "outlined: " if "size" in withheld(findings.quality) else ""
    say(axes, 0.64, 0.28, f"{where}{size} · {number(lesion.area_mm2)} mm²", "large", "white")
    say(axes, 0.64, 0.62, shorten(facts, 50), "text", "white")
    failed = sum(not check.passed for check in findings.quality.checks)
    verdict_ = _counted(failed, "check") + " failed" if failed else "all checks passed"
    if findings.warnings:
        verdict_ += f" · {_counted(len(findings.warnings), 'warning')}"
    say(axes, 0.986, 0.28, f"Quality {findings.quality.grade}", "large", "white", right=True)
    say(axes, 0.986, 0.62, verdict_, "text", "white", right=True)


def warning_lines(findings: Findings) -> list[str]:
    """Return what the page warns of, a line each; what there is no room for is counted."""
    found = list(findings.warnings)
    if len(found) > WARNINGS:
        rest = len(found) - WARNINGS + 1
        found = [*found[: WARNINGS - 1], f"and {rest} more warnings, in the structured report"]
    return [shorten(text, 190) for text in found]


def draw_warnings(axes: Axes, findings: Findings) -> None:
    """Fill the band below the title bar with the warnings, where there are any."""
    lines = warning_lines(findings)
    blank(axes, face=CAUTION)
    for row, text in enumerate(lines):
        y = (row + 0.5) / len(lines)
        say(axes, 0.014, y, "\N{WARNING SIGN}", "text", BAD, weight="bold")
        say(axes, 0.029, y, text, "text", INK)


def draw_contributions(axes: Axes, findings: Findings) -> None:
    """Draw what moved the probability, largest first: what is so, what is usual, and how far."""
    heading(axes, "Why", "grey: the average exam learnt from · benign ◂ ▸ malignant")
    blank(axes)
    largest = sorted(findings.diagnosis.contributions, key=lambda item: -abs(item.contribution))
    rows = largest[:ROW]
    if not rows:
        say(axes, 0.0, 0.1, "Nothing was judged.", "text", MUTED)
        return
    middle = 0.86
    scale = (1 - middle) / max(abs(rows[0].contribution), 1e-9)
    axes.plot([middle, middle], [0, 1], color=FAINT, linewidth=1)
    for row, item in enumerate(rows):
        y = (row + 0.5) / ROW
        say(axes, 0.0, y, shorten(because(item), 46), "small", INK)
        say(axes, 0.7, y, mean_of(item), "small", MUTED, right=True)
        axes.barh(y, scale * item.contribution, left=middle, height=0.09, color=TITLE)


def draw_quality(axes: Axes, findings: Findings) -> None:
    """List the quality checks, failed ones first, which have two lines where they need them."""
    quality = findings.quality
    heading(axes, f"Quality {quality.grade}")
    blank(axes)
    checks = sorted(quality.checks, key=lambda check: check.passed)
    row = 0
    for index, check in enumerate(checks):
        lines = _lines(check)
        last = index + 1 == len(checks)
        if row + len(lines) > (ROW if last else ROW - 1):
            rest = checks[index:]
            text = f"and {len(rest)} more, {sum(each.passed for each in rest)} passed"
            say(axes, 0.05, (row + 0.5) / ROW, text, "small", MUTED)
            return
        _check(axes, check, lines, (row + 0.5) / ROW)
        row += len(lines)


def _lines(check: Check) -> list[str]:
    if check.passed:
        return [check.name]
    return textwrap.wrap(check.message, 76, max_lines=2, placeholder=" …")


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
    frames = f"{int(findings.kept.sum())} of {len(findings.kept)} frames used"
    lines.append((source, f"{frames} · {_curve_model(findings)}"))
    for row, (first, second) in enumerate(lines):
        y = (row + 0.25) / 5
        say(axes, 0.0, y, shorten(first, 52), "small", INK)
        say(axes, 0.0, y + 0.09, shorten(second, 70), "small", MUTED)


def _curve_model(findings: Findings) -> str:
    share = findings.bolus.recirculation
    again = f", {percent(share)} recirculates" if share > 0 else ""
    return f"{findings.bolus.family} curves{again}"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _explanation(findings: Findings) -> list[str]:
    """Return the two lines below the headline."""
    diagnosis = findings.diagnosis
    assumed = premises(diagnosis.prevalence, (model.trained_on for model in findings.models))
    if diagnosis.malignant_probability is None:
        lines = textwrap.wrap(verdict(diagnosis), 96, max_lines=2, placeholder=" …")
        return [*lines, assumed]
    return [shorten(verdict(diagnosis), 62), assumed]


def _gauge(axes: Axes, diagnosis: Diagnosis) -> None:
    """Draw the probability of malignancy on a scale from 0 to 100 %, with its interval.

    A tick marks the prevalence that it assumes: the probability before anything was looked at.
    """
    left, width, y = 0.395, 0.2, 0.62
    probability, interval = diagnosis.malignant_probability, diagnosis.interval
    if probability is None:
        return
    spread = range_of(diagnosis)
    said = [spread] if spread else []
    if diagnosis.decision == "indeterminate":
        said = [f"malignancy {percent(probability)}", *said]
    say(axes, left, 0.28, " · ".join(said), "large", "white")
    axes.plot([left, left + width], [y, y], color="white", alpha=0.3, linewidth=5)
    if spread and interval is not None:
        ends = [left + width * end for end in interval]
        axes.plot(ends, [y, y], color="white", alpha=0.7, linewidth=5, solid_capstyle="butt")
    if diagnosis.prevalence is not None:
        x = left + width * diagnosis.prevalence
        axes.plot([x, x], [y - 0.09, y + 0.09], color="white", linewidth=1.2)
        axes.text(
            *(x, 0.84, "assumed"), fontsize=SIZES["small"], color="white", ha="center", va="center"
        )
    axes.plot(left + width * probability, y, "o", color="white", markersize=11)
    say(axes, left, 0.84, "0", "small", "white")
    say(axes, left + width, 0.84, "100 %", "small", "white", right=True)


def _check(axes: Axes, check: Check, lines: list[str], y: float) -> None:
    if not check.passed:
        say(axes, 0.0, y, "✗", "text", BAD, weight="bold")
        for row, text in enumerate(lines):
            say(axes, 0.05, y + 0.12 * row, text, "small", BAD)
        return
    say(axes, 0.0, y, "✓", "text", GOOD, weight="bold")
    say(axes, 0.05, y, check.name, "small", INK)
    unit = UNITS.get(check.unit, check.unit)
    value = f"{number(check.value)} {unit}".strip()
    say(axes, 1.0, y, f"{value}  (limit {number(check.limit)})", "small", MUTED, right=True)
