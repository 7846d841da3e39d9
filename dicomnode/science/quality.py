"""Quality of an exam: named checks against stated limits, the grade, and what refuses."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import Reason
from dicomnode.science import evidence
from dicomnode.science.findings import Check, Quality
from dicomnode.science.kinetics import LognormalCurves
from dicomnode.science.loop import Loop
from dicomnode.science.sampling import Motion

__all__ = ["RULES", "Rule", "assess", "early", "refusals", "steady_pixels"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One check: what is measured, against which limit, and what failing means.

    ``words`` is a format string over ``value`` and ``limit``, in ``unit``.
    """

    name: str
    code: str
    limit: float
    unit: str
    bound: Literal["at least", "at most"]
    refuses: bool
    words: str
    early: bool = False
    """Whether it can be told from the loop alone, before motion and segmentation."""


PIXEL_FRAMES = "frames for pixel fits"

RULES: tuple[Rule, ...] = (
    Rule(
        name="bolus",
        code="no-bolus",
        limit=2.0,
        unit="dB",
        bound="at least",
        refuses=True,
        early=True,
        words="mean echo power of the contrast pane rises by {value:.1f} dB beyond any step of "
        "gain; a bolus whose wash-in is recorded raises it by {limit:.0f} dB or more",
    ),
    Rule(
        name="enhancing area",
        code="no-bolus",
        limit=0.1,
        unit="1",
        bound="at least",
        refuses=True,
        early=True,
        words="{value:.0%} more of the contrast pane brightens than darkens; "
        "a bolus brightens {limit:.0%} or more",
    ),
    Rule(
        name="frames",
        code="too-few-frames",
        limit=10,
        unit="1",
        bound="at least",
        refuses=True,
        early=True,
        words="{value:.0f} frames; a time-intensity curve needs {limit:.0f} or more",
    ),
    Rule(
        name=PIXEL_FRAMES,
        code="few-frames",
        limit=50,
        unit="1",
        bound="at least",
        refuses=False,
        early=True,
        words="{value:.0f} frames; curves of single pixels are steady from {limit:.0f} on",
    ),
    Rule(
        name="frame rate",
        code="slow-frame-rate",
        limit=1.0,
        unit="Hz",
        bound="at least",
        refuses=False,
        early=True,
        words="{value:.2f} frames per second; wash-in is resolved from {limit:.0f} on",
    ),
    Rule(
        name="frames left out",
        code="motion",
        limit=0.2,
        unit="1",
        bound="at most",
        refuses=False,
        words="{value:.0%} of the frames left out for motion; up to {limit:.0%} is usual",
    ),
    Rule(
        name="usable frames",
        code="unusable-motion",
        limit=0.4,
        unit="1",
        bound="at least",
        refuses=True,
        words="{value:.0%} of the frames are in plane; at least {limit:.0%} are needed",
    ),
    Rule(
        name="frame similarity",
        code="motion",
        limit=0.3,
        unit="1",
        bound="at least",
        refuses=False,
        words="frames resemble their mean after registration with a correlation of {value:.2f}; "
        "{limit:.1f} or more is wanted",
    ),
    Rule(
        name="excursion",
        code="motion",
        limit=4.0,
        unit="mm",
        bound="at most",
        refuses=False,
        words="tissue moves up to {value:.1f} mm; up to {limit:.0f} mm is followed reliably",
    ),
    Rule(
        name="saturation",
        code="saturation",
        limit=0.05,
        unit="1",
        bound="at most",
        refuses=False,
        words="{value:.1%} of the lesion's samples near the peak are at the top of the grey "
        "scale; up to {limit:.0%} is harmless",
    ),
    Rule(
        name="measurable samples",
        code="unusable-saturation",
        limit=0.6,
        unit="1",
        bound="at least",
        refuses=True,
        words="{value:.0%} of the lesion's samples near the peak are below the top of the grey "
        "scale; at least {limit:.0%} are needed",
    ),
    Rule(
        name="flash",
        code="flash",
        limit=0.0,
        unit="1",
        bound="at most",
        refuses=False,
        early=True,
        words="{value:.0f} frames flash (bubble destruction or a knock); none should",
    ),
    Rule(
        name="gain change",
        code="gain-change",
        limit=evidence.GAIN_NOISE_DB,
        unit="dB",
        bound="at most",
        refuses=False,
        early=True,
        words="the gain steps by {value:.1f} dB; up to {limit:.1f} dB is noise",
    ),
    Rule(
        name="baseline",
        code="late-start",
        limit=1.0,
        unit="s",
        bound="at least",
        refuses=False,
        words="{value:.1f} s recorded before contrast arrives in the lesion; "
        "{limit:.0f} s or more is wanted",
    ),
    Rule(
        name="wash-out recorded",
        code="short-loop",
        limit=20.0,
        unit="s",
        bound="at least",
        refuses=False,
        words="{value:.0f} s recorded after the lesion's peak; "
        "wash-out needs {limit:.0f} s or more",
    ),
)
"""Every check, in the order of the report. The limits are this project's choice, no standard."""


def early(loop: Loop) -> Quality:
    """Check what can be told before motion and segmentation: whether there is a bolus at all.

    Parameters
    ----------
    loop : Loop

    Returns
    -------
    Quality
        Of the early checks only; :func:`refusals` gives the reasons not to go on.
    """
    return _judged(evidence.of_loop(loop), early_only=True)


def assess(
    loop: Loop,
    motion: Motion,
    lesion_curve: NDArray[np.float64],
    lesion: NDArray[np.bool_],
    fit: LognormalCurves | None = None,
) -> Quality:
    """Run every check on a measured exam.

    Parameters
    ----------
    loop : Loop
    motion : Motion
        Of this loop.
    lesion_curve : ndarray of float64, shape (T,)
        Mean echo power of the lesion; NaN where a frame was left out.
    lesion : ndarray of bool, shape (R, C)
        On the reference frame.
    fit : LognormalCurves, optional
        The fitted curves of the lesion's pixels, for their arrival; without it, that of the curve.

    Returns
    -------
    Quality
        Grade A where all checks pass, B and C where one and two fail, D where more do or where
        one fails that refuses.
    """
    if lesion_curve.shape != loop.times_s.shape:
        raise ValueError(
            f"lesion_curve: expected shape {loop.times_s.shape}, one echo power per frame, "
            f"got {lesion_curve.shape}"
        )
    if lesion.shape != loop.shape or not lesion.any():
        raise ValueError(
            f"lesion: expected at least one pixel in shape {loop.shape}, "
            f"got {int(lesion.sum())} in shape {lesion.shape}"
        )
    found = {
        **evidence.of_loop(loop),
        **evidence.of_motion(loop, motion),
        **evidence.of_lesion(loop, motion, lesion_curve, lesion, fit),
    }
    return _judged(found, early_only=False)


def steady_pixels(quality: Quality) -> bool:
    """Whether the loop holds enough frames for the curve of a single pixel to mean anything."""
    return all(check.passed for check in quality.checks if check.name == PIXEL_FRAMES)


def refusals(quality: Quality) -> tuple[Reason, ...]:
    """Give the reasons, if any, why an exam must not be analysed."""
    codes = {rule.name: rule.code for rule in RULES}
    failed = (check for check in quality.checks if check.refuses and not check.passed)
    return tuple(Reason(codes[check.name], check.words) for check in failed)


def _judged(found: evidence.Evidence, *, early_only: bool) -> Quality:
    rules = [rule for rule in RULES if rule.early or not early_only]
    checks = tuple(_check(rule, found[rule.name]) for rule in rules)
    return Quality(grade=_grade(checks), checks=checks)


def _check(rule: Rule, value: float | None) -> Check:
    if value is None:
        words = "cannot be told from this loop"
        passed = True
    else:
        words = rule.words.format(value=value, limit=rule.limit)
        passed = value >= rule.limit if rule.bound == "at least" else value <= rule.limit
    return Check(
        name=rule.name,
        value=value,
        limit=rule.limit,
        unit=rule.unit,
        passed=passed,
        refuses=rule.refuses,
        words=words,
    )


def _grade(checks: Iterable[Check]) -> Literal["A", "B", "C", "D"]:
    failed = [check for check in checks if not check.passed]
    if any(check.refuses for check in failed) or len(failed) > 2:
        return "D"
    grades: tuple[Literal["A", "B", "C"], ...] = ("A", "B", "C")
    return grades[len(failed)]
