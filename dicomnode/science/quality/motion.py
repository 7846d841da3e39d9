"""Rules on motion: frames left out, the likeness of the others, how far the tissue went."""

import numpy as np

from dicomnode.science.faults import faulty
from dicomnode.science.quality.rule import Facts, Rule

__all__ = ["RULES"]


def _left_out(facts: Facts) -> float | None:
    sound = ~faulty(facts.loop)
    return float(np.mean(~facts.lesion.motion.kept[sound])) if sound.any() else None


def _usable(facts: Facts) -> float:
    return float(np.mean(facts.lesion.motion.kept))


def _likeness(facts: Facts) -> float:
    motion = facts.lesion.motion
    return float(np.median(motion.ncc[~faulty(facts.loop) | motion.kept]))


def _excursion_mm(facts: Facts) -> float:
    motion = facts.lesion.motion
    off_mm = np.hypot(*(motion.shift_px[motion.kept] * facts.loop.spacing_mm).T)
    return float(np.percentile(off_mm, 95))


RULES = (
    Rule(
        name="frames left out",
        code="motion",
        measure=_left_out,
        limit=0.2,
        unit="1",
        bound="at most",
        message="{value:.0%} of the frames left out for motion; up to {limit:.0%} is usual",
    ),
    Rule(
        name="usable frames",
        code="unusable-motion",
        measure=_usable,
        limit=0.4,
        unit="1",
        bound="at least",
        withholds=frozenset({"analysis"}),
        message="{value:.0%} of the frames are in plane, without flash and with the probe on the "
        "skin; at least {limit:.0%} are needed",
    ),
    Rule(
        name="registration",
        code="unusable-motion",
        measure=_likeness,
        limit=0.1,
        unit="1",
        bound="at least",
        withholds=frozenset({"analysis"}),
        message="frames resemble their mean after registration with a correlation of {value:.2f}; "
        "below {limit:.1f} they have nothing in common that could be followed",
    ),
    Rule(
        name="frame similarity",
        code="motion",
        measure=_likeness,
        limit=0.3,
        unit="1",
        bound="at least",
        message="frames resemble their mean after registration with a correlation of {value:.2f}; "
        "{limit:.1f} or more is wanted",
    ),
    Rule(
        name="excursion",
        code="motion",
        measure=_excursion_mm,
        limit=4.0,
        unit="mm",
        bound="at most",
        message="tissue moves up to {value:.1f} mm; up to {limit:.0f} mm is followed reliably",
    ),
)
