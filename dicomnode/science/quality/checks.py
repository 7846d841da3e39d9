"""Quality of an exam: named checks against stated limits, the grade, and what refuses."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import Reason
from dicomnode.science.findings import Check, Quality
from dicomnode.science.loop import Loop
from dicomnode.science.quality import evidence
from dicomnode.science.quality.rules import OUTLINE, PIXEL_FRAMES, RULES, Grade, Rule
from dicomnode.science.sampling import Motion

__all__ = [
    "RULES",
    "Rule",
    "assess",
    "early",
    "refusals",
    "steady_pixels",
    "sure_outline",
    "withholding",
]

Words = Mapping[str, float | str]

ASSUMED = "default"
"""Source of a dynamic range that nobody stated."""
SOURCES: Mapping[str, str] = {
    ASSUMED: "assumed",
    "tag": "as the file states",
    "vendor": "as the site states for this scanner",
    "settings": "as the site states",
}
"""Where a dynamic range is known from, as a reader is told."""


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
    return _judged(evidence.of_loop(loop), {}, early_only=True)


def assess(
    loop: Loop,
    motion: Motion,
    lesion_curve: NDArray[np.float64],
    lesion: NDArray[np.bool_],
    uncertainty: float,
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
    uncertainty : float
        Of its outline, 0 to 1, as the segmenter has it.

    Returns
    -------
    Quality
        Grade A where all checks pass, B and C where one and two fail, D where more do or where
        one fails that refuses; never better than a failed check allows.
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
        **evidence.of_lesion(loop, motion, lesion_curve, lesion),
    }
    estimate_db = evidence.speckle_range_db(loop, motion, lesion_curve, lesion)
    found["dynamic range"] = estimate_db and estimate_db / loop.dynamic_range_db
    found["dynamic range known"] = float(loop.dynamic_range_source != ASSUMED)
    found[OUTLINE] = uncertainty
    told: Words = {
        "stated_db": loop.dynamic_range_db,
        "source": SOURCES.get(loop.dynamic_range_source, loop.dynamic_range_source),
        "estimate_db": estimate_db or 0.0,
    }
    return _judged(found, told, early_only=False)


def steady_pixels(quality: Quality) -> bool:
    """Whether the loop holds enough frames for the curve of a single pixel to mean anything."""
    return all(check.passed for check in quality.checks if check.name == PIXEL_FRAMES)


def sure_outline(quality: Quality) -> bool:
    """Whether the lesion's outline is one that anything said of the lesion can rest on."""
    return all(check.passed for check in quality.checks if check.name == OUTLINE)


def withholding(quality: Quality) -> tuple[Reason, ...]:
    """Give the reasons, if any, why nothing must be judged: failed checks that allow grade D only.

    Those that refuse are not among them: such an exam is not analysed at all.
    """
    rules = {rule.name: rule for rule in RULES}
    failed = (check for check in quality.checks if not check.passed and not check.refuses)
    return tuple(
        Reason(rules[check.name].code, check.words)
        for check in failed
        if rules[check.name].at_best == "D"
    )


def refusals(quality: Quality) -> tuple[Reason, ...]:
    """Give the reasons, if any, why an exam must not be analysed."""
    codes = {rule.name: rule.code for rule in RULES}
    failed = (check for check in quality.checks if check.refuses and not check.passed)
    return tuple(Reason(codes[check.name], check.words) for check in failed)


def _judged(found: evidence.Evidence, told: Words, *, early_only: bool) -> Quality:
    rules = [rule for rule in RULES if rule.early or not early_only]
    checks = tuple(_check(rule, found[rule.name], told) for rule in rules)
    return Quality(grade=_grade(checks), checks=checks)


def _check(rule: Rule, value: float | None, told: Words) -> Check:
    if value is None:
        words = "cannot be told from this loop"
        passed = True
    else:
        passed = value >= rule.limit if rule.bound == "at least" else value <= rule.limit
        form = rule.words if passed else rule.failed or rule.words
        words = form.format(value=value, limit=rule.limit, **told)
    return Check(
        name=rule.name,
        value=value,
        limit=rule.limit,
        unit=rule.unit,
        passed=passed,
        refuses=rule.refuses,
        words=words,
    )


def _grade(checks: Sequence[Check]) -> Grade:
    failed = {check.name for check in checks if not check.passed}
    if any(check.refuses for check in checks if check.name in failed):
        return "D"
    by_count: tuple[Grade, ...] = ("A", "B", "C", "D")
    allowed = [rule.at_best for rule in RULES if rule.name in failed]
    return max(by_count[min(len(failed), 3)], *allowed)
