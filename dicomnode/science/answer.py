"""The answer in the words that a person reads: the same on the page, in the report, on a terminal.

They lead with the probability and say what it assumes; benign or malignant is said of the model
only, never of the lesion.
"""

from collections.abc import Iterable

from dicomnode.science.feature_table import BY_NAME
from dicomnode.science.findings import Contribution, Diagnosis, from_simulation

__all__ = [
    "because",
    "headline",
    "in_short",
    "mean_of",
    "percent",
    "premises",
    "range_of",
    "summary_line",
    "verdict",
    "why_line",
]

NOT_JUDGED = "Not judged"
HALF = (0.48, 0.52)
"""Shares that are said to be half."""


def percent(fraction: float) -> str:
    """Return a fraction as whole percent, never rounding a doubt away to 0 or 100."""
    if 0 < fraction < 0.01:
        return "<1 %"
    if 0.99 < fraction < 1:
        return ">99 %"
    return f"{100 * fraction:.0f} %"


def headline(diagnosis: Diagnosis) -> str:
    """Return what stands above everything else: a probability, or that there is no answer."""
    if diagnosis.malignant_probability is None:
        return NOT_JUDGED
    if diagnosis.decision == "indeterminate":
        return "Indeterminate"
    return f"Probability of malignancy {percent(diagnosis.malignant_probability)}"


def range_of(diagnosis: Diagnosis) -> str:
    """Return the interval around the probability; an end that is the probability itself is none."""
    probability, interval = diagnosis.malignant_probability, diagnosis.interval
    if probability is None or interval is None:
        return ""
    (low, high), here = map(percent, interval), percent(probability)
    if low == here:
        return "" if high == here else f"up to {high}"
    return f"{low} or more" if high == here else f"{low.removesuffix(' %')} to {high}"


def verdict(diagnosis: Diagnosis) -> str:
    """Return what the model makes of it, or why it makes nothing of it."""
    if diagnosis.decision != "indeterminate":
        return f"the model answers: {diagnosis.decision}"
    if diagnosis.reasons:
        return "; ".join(reason.text for reason in diagnosis.reasons)
    if diagnosis.malignant_probability is None:
        return "the classifier gave no answer"
    return "the answer is not certain enough either way"


def summary_line(diagnosis: Diagnosis) -> str:
    """Return the whole answer on one line, without what it assumes."""
    probability, spread = diagnosis.malignant_probability, range_of(diagnosis)
    if probability is None:
        return f"{NOT_JUDGED}: {verdict(diagnosis)}"
    said = f"Probability of malignancy {percent(probability)}" + (f" ({spread})" if spread else "")
    if diagnosis.decision == "indeterminate":
        return f"Indeterminate. {said}; {verdict(diagnosis)}"
    return f"{said}; {verdict(diagnosis)}"


def premises(prevalence: float | None, trained_on: Iterable[str]) -> str:
    """Return what a probability assumes: how many exams are malignant, and what it was learnt from.

    ``trained_on`` are the words of every model that had a part.
    """
    simulated = any(map(from_simulation, trained_on))
    if prevalence is None:
        return "with models that learnt from simulated exams" if simulated else ""
    learnt_from = "the simulated exams learnt from" if simulated else "those learnt from"
    half = HALF[0] <= prevalence <= HALF[1]
    share = "half" if half else percent(prevalence)
    return f"assumes {share} of the exams malignant, as of {learnt_from}"


def in_short(diagnosis: Diagnosis) -> str:
    """Return the answer in a few words, for lists."""
    if diagnosis.malignant_probability is None:
        return NOT_JUDGED.lower()
    decided = diagnosis.decision != "indeterminate"
    called = f"model answers {diagnosis.decision}" if decided else diagnosis.decision
    return f"malignancy {percent(diagnosis.malignant_probability)}, {called}"


def because(item: Contribution) -> str:
    """Say by its sign what a feature is in this lesion."""
    feature = BY_NAME.get(item.feature)
    return f"{item.meaning} {item.value:.3g}" if feature is None else feature.said(item.value)


def mean_of(item: Contribution) -> str:
    """Write what the same feature is on average in the exams that were learnt from."""
    feature = BY_NAME.get(item.feature)
    return f"{item.mean:.3g}" if feature is None else feature.written(item.mean)


def why_line(item: Contribution) -> str:
    """Say what a feature is here, what on average, and where to it moved the log-odds how far."""
    kind = "malignant" if item.contribution > 0 else "benign"
    moved = f"towards {kind} by {abs(item.contribution):.2f}"
    return f"{because(item)} (average {mean_of(item)}): {moved}"
