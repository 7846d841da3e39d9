"""Quality of an exam: named checks against stated limits, the grade, what refuses or withholds."""

from dicomnode.science.quality.checks import (
    assess,
    early,
    refusals,
    steady_pixels,
    sure_outline,
    withholding,
)
from dicomnode.science.quality.rules import RULES, Rule
from dicomnode.science.quality.withheld import incomparable, too_few_frames, unjudged

__all__ = [
    "RULES",
    "Rule",
    "assess",
    "early",
    "incomparable",
    "refusals",
    "steady_pixels",
    "sure_outline",
    "too_few_frames",
    "unjudged",
    "withholding",
]
