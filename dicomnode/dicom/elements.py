"""Elements of a received dataset, read as what they must be: one value, of its type, in its range.

A header may say anything: two values where one is expected, a sequence instead of a number, digits
of another alphabet. What decides something is read through :class:`Elements`, whose errors name
file, element, what was expected and what was found.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import PersonName

from dicomnode.errors import InputError

__all__ = ["Elements", "number_of", "tag_text"]

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A decimal string (PS3.5 6.2); Python's own numbers may also be ``1_000``, ``nan`` or ``inf``."""
NUMBERLIKE = re.compile(r"\d|^[+-]?(nan|inf)", re.IGNORECASE)
UNLIMITED = 2**31 - 1
"""What an integer string may say at most (PS3.5 6.2) is no limit that a person need know."""
LONGEST_SHOWN = 16
"""A longer text is no number gone wrong; it may be anybody's name."""


def tag_text(keyword: str) -> str:
    """``Keyword (gggg,eeee)``, as error texts name an element."""
    tag = Tag(keyword)
    return f"{keyword} ({tag.group:04X},{tag.element:04X})"


@dataclass(frozen=True, kw_only=True)
class Elements:
    """A dataset of a file, or one item in it, whose elements are read one by one.

    Attributes
    ----------
    file : str
        The file's name, for errors.
    code : str
        Code of the errors.
    within : str
        Sequence and item that the dataset is, for errors.
    """

    dataset: Dataset
    file: str
    code: str = "bad-element"
    within: str = ""

    def states(self, keyword: str) -> bool:
        """Whether there is any value, of whatever kind."""
        return not _is_nothing(self._value(keyword))

    def number(self, keyword: str, low: float, high: float, unit: str = "") -> float:
        """Read one number from ``low`` to ``high``."""
        expected = _between(low, high, unit)
        value = self._value(keyword)
        found = number_of(value)
        if found is None or not low <= found <= high:
            one = "one value, " if isinstance(value, (MultiValue, list)) else ""
            raise self.wrong(keyword, one + expected, _shown(value))
        return found

    def whole(self, keyword: str, low: int, high: int, unit: str = "") -> int:
        """Read one whole number from ``low`` to ``high``."""
        found = self.number(keyword, low, high, unit)
        if not found.is_integer():
            raise self.wrong(keyword, "a whole number", f"{found:g}")
        return int(found)

    def numbers(self, keyword: str) -> NDArray[np.float64]:
        """Read any count of finite numbers; none where the element is empty."""
        value = self._value(keyword)
        if _is_nothing(value):
            return np.empty(0)
        each = _each(value)
        found = [number_of(one) for one in each]
        for one, number in zip(each, found, strict=True):
            if number is None:
                raise self.wrong(keyword, "numbers", _shown(one))
        return np.array(found, np.float64)

    def text(self, keyword: str) -> str:
        """Read one text, without blanks around it; ``""`` where there is none."""
        value = self._value(keyword)
        if _is_nothing(value):
            return ""
        if not isinstance(value, str):
            raise self.wrong(keyword, "one text", _shown(value))
        return value.strip(" \0")

    def uid(self, keyword: str) -> str:
        """Read one UID: any text that could stand for one, since many are not quite valid."""
        found = self.text(keyword)
        if not found or not found.isascii() or not found.isprintable() or " " in found:
            raise self.wrong(keyword, "a UID", "none" if not found else "other text")
        return found

    def words(self, keyword: str) -> str:
        """Read a description that decides nothing alone: what text there is, else ``""``."""
        texts = [one for one in _each(self._value(keyword)) if isinstance(one, (str, PersonName))]
        return "\\".join(str(text).strip(" \0") for text in texts)

    def tags(self, keyword: str) -> list[BaseTag]:
        """Read any count of tags."""
        value = self._value(keyword)
        each = [] if _is_nothing(value) else _each(value)
        if not all(isinstance(one, int) and 0 <= one < 1 << 32 for one in each):
            raise self.wrong(keyword, "tags", _shown(value))
        return [Tag(one) for one in each]

    def items(self, keyword: str) -> Iterator["Elements"]:
        """Read the items of a sequence, one after the other."""
        value = self._value(keyword)
        if _is_nothing(value):
            return
        if not isinstance(value, Sequence):
            raise self.wrong(keyword, "a sequence", _shown(value))
        for number, item in enumerate(value, start=1):
            within = f"{self.within}{tag_text(keyword)}, item {number}, "
            yield replace(self, dataset=item, within=within)

    def wrong(self, keyword: str, expected: str, found: object, code: str = "") -> InputError:
        """Say that an element is not what it must be."""
        return InputError(
            code or self.code,
            f"{self.file}: {self.within}{tag_text(keyword)}: expected {expected}, found {found}",
        )

    def _value(self, keyword: str) -> Any:
        return self.dataset.get(keyword)


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (MultiValue, list)) else [value]


def _is_nothing(value: object) -> bool:
    if isinstance(value, (MultiValue, list, Sequence)):
        return len(value) == 0
    return value is None or value in ("", b"")


def number_of(value: Any) -> float | None:
    """The one finite number that a value is, or None."""
    if isinstance(value, (MultiValue, list)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (int, float)):
        text = getattr(value, "original_string", None)
        if text is not None and not NUMBER.fullmatch(text.strip(" \0")):
            return None
    elif not (isinstance(value, str) and NUMBER.fullmatch(value.strip(" \0"))):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _between(low: float, high: float, unit: str) -> str:
    unit = unit and f" {unit}"
    if low == high:
        return f"{low:g}{unit}"
    return f"at least {low:g}{unit}" if high >= UNLIMITED else f"{low:g} to {high:g}{unit}"


def _shown(value: object) -> str:
    """What was found, in words that carry nobody's data."""
    if _is_nothing(value):
        return "none"
    if isinstance(value, Sequence):
        return "a sequence"
    if isinstance(value, (MultiValue, list)):
        return f"{len(value)} values"
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    text = text.strip(" \0")
    if len(text) > LONGEST_SHOWN or not NUMBERLIKE.search(text):
        return "other text"
    return text if isinstance(value, (int, float)) else ascii(text)
