"""Rules on the range of log-compression: whether it is known, and whether the speckle agrees."""

from collections.abc import Mapping

import numpy as np

from dicomnode.science.loop import estimate_dynamic_range_db
from dicomnode.science.quality.rule import Facts, Rule, once

__all__ = ["RULES"]

_ASSUMED = "default"
"""Source of a dynamic range that nobody stated."""
_SOURCES: Mapping[str, str] = {
    _ASSUMED: "assumed",
    "tag": "as the file states",
    "vendor": "as the site states for this scanner",
    "settings": "as the site states",
}
"""Where a dynamic range is known from, as a reader is told."""


def _known(facts: Facts) -> float:
    return float(facts.loop.dynamic_range_source != _ASSUMED)


def _agreement(facts: Facts) -> float | None:
    estimate_db = _speckle_range_db(facts)
    return estimate_db and estimate_db / facts.loop.dynamic_range_db


@once
def _speckle_range_db(facts: Facts) -> float | None:
    """Dynamic range that the lesion's speckle suggests while it enhances, in dB.

    From kept frames that follow each other, at which the lesion's mean power is above half of its
    peak: there noise counts least.
    """
    lesion = facts.lesion
    bright = lesion.motion.kept & (np.nan_to_num(lesion.curve) >= 0.5 * np.nanmax(lesion.curve))
    frames = np.flatnonzero(bright)
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    longest = max(runs, key=len)
    return estimate_dynamic_range_db(facts.loop.contrast[longest], lesion.mask)


def _terms(facts: Facts) -> Mapping[str, float | str]:
    loop = facts.loop
    return {
        "stated_db": loop.dynamic_range_db,
        "source": _SOURCES.get(loop.dynamic_range_source, loop.dynamic_range_source),
        "estimate_db": _speckle_range_db(facts) or 0.0,
    }


RULES = (
    Rule(
        name="dynamic range known",
        code="dynamic-range-assumed",
        measure=_known,
        terms=_terms,
        limit=1.0,
        unit="1",
        bound="at least",
        at_best="C",
        message="{stated_db:.0f} dB {source}; ratios of brightness are right as far as that is",
        failed_message="the scanner's dynamic range is not known and {stated_db:.0f} dB are "
        "{source}; ratios of brightness are wrong as far as that is, and transit times with them",
    ),
    Rule(
        name="dynamic range",
        code="dynamic-range",
        measure=_agreement,
        terms=_terms,
        limit=0.75,
        unit="1",
        bound="at least",
        message="speckle shows a range of {estimate_db:.0f} dB, {value:.0%} of the "
        "{stated_db:.0f} dB taken ({source}); persistence and compounding only ever make it "
        "show more, so below {limit:.0%} the picture contradicts that range",
    ),
)
