"""The log-compression range of a clip, and where it is known from.

No element of the standard holds it as a number. Processing Function (0018,5020), the free text in
which a scanner describes its processing (PS3.3 C.8.5.6), may name it; otherwise a site states it in
its settings, or 60 dB are assumed and every result says so.
"""

import re

from pydicom import Dataset

__all__ = ["DEFAULT_DYNAMIC_RANGE_DB", "dynamic_range_db"]

DEFAULT_DYNAMIC_RANGE_DB = 60.0
_PLAUSIBLE_DB = (30.0, 100.0)
_STATED = re.compile(r"(\d{2,3}(?:\.\d+)?)\s*dB", re.IGNORECASE)


def dynamic_range_db(header: Dataset, settings_db: float | None) -> tuple[float, str]:
    """Range in decibels and its source: "settings" before "tag" before "default"."""
    if settings_db is not None:
        return settings_db, "settings"
    stated = _STATED.search(str(header.get("ProcessingFunction") or ""))
    if stated and _PLAUSIBLE_DB[0] <= float(stated[1]) <= _PLAUSIBLE_DB[1]:
        return float(stated[1]), "tag"
    return DEFAULT_DYNAMIC_RANGE_DB, "default"
