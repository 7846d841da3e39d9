"""The features of a lesion as a table: name, unit, and how a value of each is said.

A feature that is a difference is said by its sign: "peaks 8.0 s earlier than tissue", never "peaks
later: -8.0 s".
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dicomnode.science.subregions.codebook import KINDS

__all__ = ["BY_NAME", "FEATURES", "Feature", "fraction_of"]


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _seconds(value: float) -> str:
    return f"{value:.1f} s"


def _decibels(value: float) -> str:
    """Write a natural logarithm of a ratio of echo powers."""
    return f"{10 / math.log(10) * value:.1f} dB"


def _change(value: float) -> str:
    """Write a natural logarithm of a ratio as the change that it is."""
    return f"{100 * math.expm1(value):.0f} %"


def _plain(value: float) -> str:
    return f"{value:.2f}"


def _signed(value: float) -> str:
    """Write a number that may be negative and is no difference."""
    return _plain(round(value, 2) + 0.0).replace("-", "−")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature: its name in bundles and results, its unit and its meaning in words."""

    name: str
    unit: str
    """UCUM."""
    meaning: str
    """What the number is, whichever it is."""
    above: str
    """What a positive value says; ``{}`` stands for its size."""
    below: str = ""
    """What a negative value says; empty where there is none."""
    level: str = ""
    """What a difference says that rounds to none."""
    amount: Callable[[float], str] = _plain
    """How a value is written, with its sign."""
    neutral: float = 0.0
    """The value where the lesion does not define it."""
    may_lack: bool = False
    """Whether that value is hardly ever a measured one, so that it tells that none was measured."""

    def said(self, value: float) -> str:
        """Say what is so, by the value's sign."""
        if value == self.neutral and (self.level or self.may_lack):
            return f"not measured: {self.name.replace('_', ' ')}"
        size = self.amount(value).removeprefix("-")
        if self.level and _is_zero(size):
            return self.level
        return (self.below if self.below and value < 0 else self.above).format(size)

    def written(self, value: float) -> str:
        """Write the value alone; a difference has its sign."""
        size = self.amount(value).removeprefix("-")
        if not self.below or _is_zero(size):
            return size
        return f"+{size}" if value > 0 else f"−{size}"


def _is_zero(size: str) -> bool:
    return float(size.split(maxsplit=1)[0]) == 0


def fraction_of(kind: str) -> str:
    """Name of the feature that is the share of a kind of sub-region."""
    return f"fraction_{kind.replace('-', '_').replace(' ', '_')}"


FEATURES: tuple[Feature, ...] = (
    *(
        Feature(
            name=fraction_of(kind),
            unit="1",
            meaning=f"share that is {kind}",
            above=f"{{}} is {kind}",
            amount=_share,
        )
        for kind in KINDS
    ),
    Feature(
        name="subregion_entropy",
        unit="1",
        meaning="mixture of sub-regions (0 one only, 1 even)",
        above="mixture of sub-regions {} of 1",
    ),
    Feature(
        name="interface_density",
        unit="/mm",
        meaning="borders between sub-regions per area",
        above="{} mm of sub-region borders per mm²",
    ),
    Feature(
        name="rim_core_log_pe",
        unit="1",
        meaning="peak enhancement of rim over core (ln ratio)",
        above="rim brighter than core by {}",
        below="rim darker than core by {}",
        level="rim as bright as core",
        amount=_decibels,
    ),
    Feature(
        name="rim_core_ttp",
        unit="s",
        meaning="time to peak of rim minus core",
        above="rim peaks {} later than core",
        below="rim peaks {} earlier than core",
        level="rim and core peak together",
        amount=_seconds,
    ),
    Feature(
        name="enlargement_ratio",
        unit="1",
        meaning="enhancing area over outlined area",
        above="enhances over {} times the outlined area",
        neutral=1.0,
        may_lack=True,
    ),
    Feature(
        name="wash_out_50s",
        unit="1",
        meaning="share washed out 50 s after arrival",
        above="{} washed out 50 s after arrival",
        amount=_share,
    ),
    Feature(
        name="defect_fraction",
        unit="1",
        meaning="share with almost no enhancement",
        above="{} hardly enhances",
        amount=_share,
    ),
    Feature(
        name="relative_log_pe",
        unit="1",
        meaning="peak enhancement over tissue (ln ratio)",
        above="brighter than tissue by {}",
        below="darker than tissue by {}",
        level="as bright as tissue",
        amount=_decibels,
    ),
    Feature(
        name="relative_ttp",
        unit="s",
        meaning="time to peak minus tissue",
        above="peaks {} later than tissue",
        below="peaks {} earlier than tissue",
        level="peaks when tissue does",
        amount=_seconds,
    ),
    Feature(
        name="relative_log_mtt",
        unit="1",
        meaning="mean transit time over tissue (ln ratio)",
        above="transit {} longer than in tissue",
        below="transit {} shorter than in tissue",
        level="transit as long as in tissue",
        amount=_change,
    ),
    Feature(
        name="ttp",
        unit="s",
        meaning="time to peak",
        above="peaks {} after arrival",
        amount=_seconds,
    ),
    Feature(
        name="mtt", unit="s", meaning="mean transit time", above="transit takes {}", amount=_seconds
    ),
    Feature(name="rise_time", unit="s", meaning="rise time", above="rises for {}", amount=_seconds),
    Feature(
        name="heterogeneity_pe",
        unit="1",
        meaning="spread of peak enhancement (ln ratio)",
        above="peak enhancement varies by {}",
        amount=_decibels,
    ),
    Feature(
        name="heterogeneity_ttp",
        unit="s",
        meaning="spread of time to peak",
        above="time of the peak varies by {}",
        amount=_seconds,
    ),
    Feature(
        name="ring_log_pe",
        unit="1",
        meaning="peak enhancement of ring over lesion (ln)",
        above="surroundings brighter than lesion by {}",
        below="surroundings darker than lesion by {}",
        level="surroundings as bright as lesion",
        amount=_decibels,
    ),
    Feature(
        name="ring_ttp",
        unit="s",
        meaning="time to peak of surroundings minus lesion",
        above="surroundings peak {} later than lesion",
        below="surroundings peak {} earlier than lesion",
        level="surroundings and lesion peak together",
        amount=_seconds,
    ),
    Feature(
        name="texture_contrast",
        unit="1",
        meaning="texture of peak enhancement: contrast",
        above="texture contrast {} from spot to spot",
    ),
    Feature(
        name="texture_correlation",
        unit="1",
        meaning="texture of peak enhancement: correlation",
        above="texture correlation {} of near spots",
        amount=_signed,
        neutral=1.0,
    ),
    Feature(
        name="texture_entropy",
        unit="bit",
        meaning="texture of peak enhancement: entropy",
        above="texture entropy {} bit",
    ),
    Feature(
        name="ring_texture_entropy",
        unit="bit",
        meaning="texture of surroundings: entropy",
        above="texture entropy of surroundings {} bit",
    ),
)
"""Every feature of a lesion, in this order. None depends on the gain."""

BY_NAME: Mapping[str, Feature] = {feature.name: feature for feature in FEATURES}
