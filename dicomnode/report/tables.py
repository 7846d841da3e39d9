"""The parts of the page that are read: answer, warnings, contributions, quality, models."""

from collections.abc import Mapping

from matplotlib.axes import Axes

from dicomnode.report.notice import training_notice
from dicomnode.report.style import (
    BAD,
    CAUTION,
    DECISION_COLOURS,
    FAINT,
    GOOD,
    INK,
    MUTED,
    UNITS,
    blank,
    heading,
    number,
    percent,
    say,
    shorten,
)
from dicomnode.science.findings import Check, Findings

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
DECISION_TITLES: Mapping[str, str] = {
    "malignant": "LIKELY MALIGNANT",
    "benign": "LIKELY BENIGN",
    "indeterminate": "INDETERMINATE",
}


def draw_answer(axes: Axes, findings: Findings, facts: str) -> None:
    """Fill the title bar: decision, probability with its uncertainty, lesion, quality."""
    diagnosis, lesion = findings.diagnosis, findings.lesion
    blank(axes, face=DECISION_COLOURS[diagnosis.decision])
    say(axes, 0.014, 0.34, DECISION_TITLES[diagnosis.decision], "title", "white", weight="bold")
    say(axes, 0.014, 0.76, _explanation(findings), "text", "white")
    _gauge(axes, findings)
    size = f"{number(lesion.long_axis_mm)} × {number(lesion.short_axis_mm)} mm"
    say(axes, 0.60, 0.34, f"{size} · {number(lesion.area_mm2)} mm²", "large", "white")
    say(axes, 0.60, 0.76, shorten(facts, 50), "text", "white")
    failed = sum(not check.passed for check in findings.quality.checks)
    verdict = _counted(failed, "check") + " failed" if failed else "all checks passed"
    if findings.warnings:
        verdict += f" · {_counted(len(findings.warnings), 'warning')}"
    say(axes, 0.986, 0.34, f"Quality {findings.quality.grade}", "large", "white", right=True)
    say(axes, 0.986, 0.76, verdict, "text", "white", right=True)


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
    """Draw what spoke for and against malignancy, largest first."""
    heading(axes, "Why", "for benign ◂ ▸ for malignant")
    blank(axes)
    largest = sorted(findings.diagnosis.contributions, key=lambda item: -abs(item.contribution))
    rows = largest[:6]
    if not rows:
        say(axes, 0.0, 0.1, "No contributions: the classifier gave no answer.", "text", MUTED)
        return
    scale = 0.17 / max(abs(rows[0].contribution), 1e-9)
    axes.plot([0.82, 0.82], [0, 1], color=FAINT, linewidth=1)
    for row, item in enumerate(rows):
        y = (row + 0.5) / 6
        say(axes, 0.0, y, shorten(item.words, 46), "small", INK)
        say(axes, 0.64, y, number(item.value), "small", MUTED, right=True)
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
        say(axes, 0.035, 5.5 / 6, text, "small", MUTED)


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
        say(axes, left, 0.34, "no probability given", "large", "white")
        return
    spread = "" if interval is None else f"  ({percent(interval[0])} to {percent(interval[1])})"
    say(axes, left, 0.34, f"{percent(probability)} malignant{spread}", "large", "white")
    axes.plot([left, left + width], [y, y], color="white", alpha=0.35, linewidth=5)
    if interval is not None:
        ends = [left + width * end for end in interval]
        axes.plot(ends, [y, y], color="white", alpha=0.75, linewidth=5, solid_capstyle="butt")
    axes.plot(left + width * probability, y, "o", color="white", markersize=11)


def _check(axes: Axes, check: Check, y: float) -> None:
    if not check.passed:
        say(axes, 0.0, y, "✗", "text", BAD, weight="bold")
        say(axes, 0.05, y, shorten(check.words.partition(";")[0], 82), "small", BAD)
        return
    say(axes, 0.0, y, "✓", "text", GOOD, weight="bold")
    say(axes, 0.05, y, check.name, "small", INK)
    unit = UNITS.get(check.unit, check.unit)
    value = f"{number(check.value)} {unit}".strip()
    say(axes, 1.0, y, f"{value}  (limit {number(check.limit)})", "small", MUTED, right=True)
