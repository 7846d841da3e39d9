"""Checks of an exam against the rules: the grade, what refuses, what is withheld."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import Reason
from dicomnode.science.findings import Check, Quality
from dicomnode.science.loop import Loop
from dicomnode.science.quality.rule import Facts, Grade, LesionFacts, Rule, Withheld
from dicomnode.science.quality.rules import RULES
from dicomnode.science.sampling import Motion

__all__ = ["assess", "early", "refusals", "withheld", "withholding"]


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
    return _quality(Facts(loop=loop), [rule for rule in RULES if rule.early])


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
    found = LesionFacts(motion=motion, curve=lesion_curve, mask=lesion, uncertainty=uncertainty)
    return _quality(Facts(loop=loop, found=found), RULES)


def withheld(quality: Quality) -> frozenset[Withheld]:
    """List what an exam does not get because of the checks that it failed."""
    return frozenset(what for rule, _ in _failed(quality) for what in rule.withholds)


def withholding(quality: Quality) -> tuple[Reason, ...]:
    """Give the reasons, if any, why nothing must be answered: failed checks that withhold it.

    Those that refuse are not among them: such an exam is not analysed at all.
    """
    return _reasons(quality, "answer")


def refusals(quality: Quality) -> tuple[Reason, ...]:
    """Give the reasons, if any, why an exam must not be analysed."""
    return _reasons(quality, "analysis")


def _reasons(quality: Quality, what: Withheld) -> tuple[Reason, ...]:
    return tuple(
        Reason(rule.code, check.message)
        for rule, check in _failed(quality)
        if what in rule.withholds
    )


def _failed(quality: Quality) -> Iterable[tuple[Rule, Check]]:
    rules = {rule.name: rule for rule in RULES}
    failed = (check for check in quality.checks if not check.passed and check.name in rules)
    return ((rules[check.name], check) for check in failed)


def _quality(facts: Facts, rules: Sequence[Rule]) -> Quality:
    checks = tuple(_check(rule, facts) for rule in rules)
    return Quality(grade=_grade(checks), checks=checks)


def _check(rule: Rule, facts: Facts) -> Check:
    value = rule.measure(facts)
    if value is None:
        message = "cannot be told from this loop"
        passed = True
    else:
        passed = value >= rule.limit if rule.bound == "at least" else value <= rule.limit
        form = rule.message if passed else rule.failed_message or rule.message
        message = form.format(value=value, limit=rule.limit, **rule.terms(facts))
    return Check(
        name=rule.name,
        value=value,
        limit=rule.limit,
        unit=rule.unit,
        passed=passed,
        refuses=rule.refuses,
        message=message,
    )


def _grade(checks: Sequence[Check]) -> Grade:
    failed = {check.name for check in checks if not check.passed}
    if any(check.refuses for check in checks if check.name in failed):
        return "D"
    by_count: tuple[Grade, ...] = ("A", "B", "C", "D")
    allowed = [rule.at_best for rule in RULES if rule.name in failed]
    return max(by_count[min(len(failed), 3)], *allowed)
