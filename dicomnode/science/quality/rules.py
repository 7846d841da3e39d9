"""The table of quality rules. The limits are this project's choice, no standard."""

from dicomnode.science.quality import (
    contrast,
    dynamic_range,
    frame_faults,
    frames,
    gain,
    lesion_curve,
    motion,
    outline,
)
from dicomnode.science.quality.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    *contrast.RULES,
    *frames.RULES,
    *motion.RULES,
    *lesion_curve.BRIGHTNESS,
    *frame_faults.RULES,
    *gain.RULES,
    *outline.RULES,
    *dynamic_range.RULES,
    *lesion_curve.COVERAGE,
)
"""Every check, in the order of the report."""
