"""Reasons why a lesion cannot be measured, or is measured but neither divided nor judged."""

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import Reason
from dicomnode.science.findings import UNRELIABLE, Quality
from dicomnode.science.limits import FEWEST_FRAMES

__all__ = ["incomparable", "too_few_frames", "unjudged"]

_MOST_UNRELIABLE = 0.5
"""Share of the lesion from which on its features describe too little of it to be judged."""


def too_few_frames(kept: NDArray[np.bool_]) -> tuple[Reason, ...]:
    """Say that fewer of the T frames are left than a fit needs, where that is so.

    To be asked before the fit is: it takes too few frames for a mistake of the caller.
    """
    usable = int(np.count_nonzero(kept))
    if usable >= FEWEST_FRAMES:
        return ()
    return (
        Reason(
            "unusable-motion",
            f"{usable} of {len(kept)} frames are in plane, without flash and with the probe on "
            f"the skin; at least {FEWEST_FRAMES} are needed for a time-intensity curve",
        ),
    )


def incomparable(tissue: NDArray[np.bool_]) -> tuple[Reason, ...]:
    """Say that there is no reference tissue to compare the lesion with, where that is so."""
    if tissue.any():
        return ()
    return (
        Reason(
            "no-reference-tissue",
            "expected tissue beyond the lesion and the ring around it to compare the lesion with, "
            "found none in the pane: the lesion is neither divided nor judged",
        ),
    )


def unjudged(subregion_map: NDArray[np.uint8], quality: Quality) -> tuple[Reason, ...]:
    """Say that too little of the lesion was measured, or too badly, for it to be judged."""
    unreliable_share = float(np.mean(subregion_map[subregion_map > 0] == UNRELIABLE))
    if unreliable_share > _MOST_UNRELIABLE:
        return (
            Reason(
                "unreliable-perfusion",
                f"{unreliable_share:.0%} of the lesion could not be measured reliably, at most "
                f"{_MOST_UNRELIABLE:.0%} expected",
            ),
        )
    if quality.grade == "D":
        failed = ", ".join(check.name for check in quality.checks if not check.passed)
        return (Reason("poor-quality", f"the exam is of quality D, at least C expected: {failed}"),)
    return ()
