"""The log-compression range of a clip, and where it is known from.

No element of the standard holds it as a number. Processing Function (0018,5020), the free text in
which a scanner describes its processing (PS3.3 C.8.5.6), may name it. Vendors publish no table that
could be cited, so the table of scanner models is the site's own; where nothing is stated 60 dB are
assumed, and every result says so.
"""

import re
from collections.abc import Mapping

from dicomnode.dicom.elements import Elements
from dicomnode.recipe import is_plausible_db, same_scanner

__all__ = [
    "DEFAULT_DYNAMIC_RANGE_DB",
    "ByModel",
    "dynamic_range_db",
    "scanner_model",
    "warn_of_source",
]

ByModel = Mapping[str, float]
"""Decibels of each scanner, by "Manufacturer Model" as in its headers; case does not matter."""

DEFAULT_DYNAMIC_RANGE_DB = 60.0
_STATED = re.compile(r"(\d{2,3}(?:\.\d+)?)\s*dB", re.IGNORECASE | re.ASCII)


def dynamic_range_db(
    elements: Elements, settings_db: float | None, by_model: ByModel | None = None
) -> tuple[float, str]:
    """Range in decibels and its source, the first that is known.

    "settings": the site states one range for all its scanners; "tag": the header's text;
    "vendor": the site's table of scanner models; "default".
    """
    if settings_db is not None:
        return settings_db, "settings"
    stated = _STATED.search(elements.words("ProcessingFunction"))
    if stated and is_plausible_db(float(stated[1])):
        return float(stated[1]), "tag"
    ranges = {same_scanner(model): range_db for model, range_db in (by_model or {}).items()}
    known = ranges.get(same_scanner(scanner_model(elements)))
    return (DEFAULT_DYNAMIC_RANGE_DB, "default") if known is None else (known, "vendor")


def warn_of_source(elements: Elements, source: str) -> tuple[str, ...]:
    """Say that a range is assumed, and of which scanner; nothing where it is known."""
    if source != "default":
        return ()
    model = scanner_model(elements) or "the scanner"
    assumed = f"{DEFAULT_DYNAMIC_RANGE_DB:g} dB are assumed; who looks after this node can state it"
    return (f"the dynamic range of {model!r} is not known: {assumed}",)


def scanner_model(elements: Elements) -> str:
    """Manufacturer (0008,0070) and Manufacturer's Model Name (0008,1090), as the table has them."""
    parts = (elements.words("Manufacturer"), elements.words("ManufacturerModelName"))
    return " ".join(part for part in parts if part)
