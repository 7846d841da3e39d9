"""Quality of an exam: named checks against stated limits, the grade, what refuses or withholds."""

from dicomnode.science.quality.checks import assess, early, refusals, withheld, withholding
from dicomnode.science.quality.rule import Rule
from dicomnode.science.quality.rules import RULES
from dicomnode.science.quality.unmeasured import incomparable, too_few_frames, unjudged

__all__ = [
    "RULES",
    "Rule",
    "assess",
    "early",
    "incomparable",
    "refusals",
    "too_few_frames",
    "unjudged",
    "withheld",
    "withholding",
]
