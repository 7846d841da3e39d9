"""The recipe of a result besides exam and models: the version of the method, and choices."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from dicomnode.science.limits import FEWEST_FRAMES

__all__ = ["METHOD_VERSION", "Recipe", "is_plausible_db", "same_scanner"]

METHOD_VERSION = "10"
"""Changes whenever the same input would give another result; part of every derived UID."""

_PLAUSIBLE_DB = (30.0, 100.0)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a site may choose about the method. The same recipe gives the same result.

    Raises
    ------
    ValueError
        Names the setting, what was expected there and what was found.
    """

    dynamic_range_db: float | None = None
    """Log-compression range of the contrast pane where the site knows it better than the file."""
    dynamic_range_by_model: Mapping[str, float] = field(default_factory=dict)
    """The same by "Manufacturer Model" as in the header, for scanners whose files do not tell."""
    ring_mm: float = 3.0
    """Width of the ring around the lesion that is measured with it."""
    time_bins: int = 64
    """Time bins of the fit, finer during wash-in."""
    smoothing_px: float = 1.0
    """Gaussian smoothing before the fit, at the scale of the point spread function."""

    def __post_init__(self) -> None:
        _check_range("dynamic_range_db", self.dynamic_range_db)
        _check_table(self.dynamic_range_by_model)
        _check_at_least("time_bins", self.time_bins, FEWEST_FRAMES, "bins")
        _check_at_least("smoothing_px", self.smoothing_px, 0, "pixels")
        _check_at_least("ring_mm", self.ring_mm, 0, "mm")


def is_plausible_db(range_db: float) -> bool:
    """Say whether a scanner may compress so many decibels into its greys."""
    return _PLAUSIBLE_DB[0] <= range_db <= _PLAUSIBLE_DB[1]


def same_scanner(model: str) -> str:
    """Write a "Manufacturer Model" so that case and spaces do not matter."""
    return " ".join(model.split()).casefold()


def _check_at_least(name: str, value: float, least: float, unit: str) -> None:
    if not (math.isfinite(value) and value >= least):
        raise ValueError(f"{name}: expected {least:g} {unit} or more, got {value}")


def _check_range(name: str, found_db: float | None) -> None:
    if found_db is not None and not is_plausible_db(found_db):
        low, high = _PLAUSIBLE_DB
        raise ValueError(f"{name}: expected {low:g} to {high:g} dB, found {found_db:g}")


def _check_table(by_model: Mapping[str, float]) -> None:
    """Refuse a table that names a scanner twice or not at all, and ranges that none has."""
    named = set()
    for model, range_db in by_model.items():
        scanner = same_scanner(model)
        if not scanner:
            raise ValueError(
                "dynamic_range_by_model: expected a scanner as in its headers, "
                f'"Manufacturer Model", found {model!r}'
            )
        if scanner in named:
            raise ValueError(f"dynamic_range_by_model: expected each scanner once, found {model!r}")
        _check_range(f"dynamic_range_by_model: {model!r}", range_db)
        named.add(scanner)
