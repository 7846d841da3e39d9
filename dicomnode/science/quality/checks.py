"""Quality of an exam: named checks against stated limits, the grade, and what refuses."""

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import Reason
from dicomnode.science.findings import Check, Quality
from dicomnode.science.loop import Loop
from dicomnode.science.quality import evidence
from dicomnode.science.quality.rules import PIXEL_FRAMES, RULES, Rule
from dicomnode.science.sampling import Motion

__all__ = ["RULES", "Rule", "assess", "early", "refusals", "steady_pixels"]

Words = Mapping[str, float | str]


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
        **evidence.of_lesion(loop, motion, lesion_curve, lesion),
    }
    estimate_db = evidence.speckle_range_db(loop, motion, lesion_curve, lesion)
    found["dynamic range"] = estimate_db and estimate_db / loop.dynamic_range_db
    told: Words = {
        "stated_db": loop.dynamic_range_db,
        "source": loop.dynamic_range_source,
        "estimate_db": estimate_db or 0.0,
    }
    return _judged(found, told, early_only=False)


def steady_pixels(quality: Quality) -> bool:
    """Whether the loop holds enough frames for the curve of a single pixel to mean anything."""
    return all(check.passed for check in quality.checks if check.name == PIXEL_FRAMES)


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
        words = rule.words.format(value=value, limit=rule.limit, **told)
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
