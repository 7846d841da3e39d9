"""Quality of an exam: named checks against stated limits, the grade, and what refuses."""

from dicomnode.science.quality.checks import assess, early, refusals, steady_pixels
from dicomnode.science.quality.rules import RULES, Rule

__all__ = ["RULES", "Rule", "assess", "early", "refusals", "steady_pixels"]
