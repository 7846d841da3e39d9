"""The table of C-STORE statuses: what each asks of the sender. No sockets."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["STATUSES", "StatusRule", "Verdict", "classify"]

Verdict = Literal["delivered", "later", "never"]
"""Stored; not stored and worth another attempt; not stored and a person must look."""


@dataclass(frozen=True)
class StatusRule:
    """A range of status codes, what it means, what to do, and where the standard says so."""

    first: int
    last: int
    verdict: Verdict
    meaning: str
    source: str

    def __contains__(self, status: int) -> bool:
        return self.first <= status <= self.last


_B_2_1 = "PS3.4 Table B.2-1"
_ANNEX_C = "PS3.7 Annex C"

STATUSES: tuple[StatusRule, ...] = (
    StatusRule(0x0000, 0x0000, "delivered", "success", _ANNEX_C),
    StatusRule(0xB000, 0xB000, "delivered", "stored, data elements coerced", _B_2_1),
    StatusRule(0xB006, 0xB006, "delivered", "stored, elements discarded", _B_2_1),
    StatusRule(0xB007, 0xB007, "delivered", "stored, does not match its SOP class", _B_2_1),
    StatusRule(0xB000, 0xBFFF, "delivered", "stored, with a warning", _ANNEX_C),
    StatusRule(0x0001, 0x0001, "delivered", "stored, with a warning", _ANNEX_C),
    StatusRule(0x0107, 0x0107, "delivered", "stored, attribute list error", _ANNEX_C),
    StatusRule(0x0116, 0x0116, "delivered", "stored, attribute value out of range", _ANNEX_C),
    StatusRule(0xA700, 0xA7FF, "later", "refused: out of resources", _B_2_1),
    StatusRule(0xA900, 0xA9FF, "never", "data set does not match its SOP class", _B_2_1),
    StatusRule(0xC000, 0xCFFF, "never", "cannot understand", _B_2_1),
    StatusRule(0x0105, 0x0106, "never", "attribute not known or its value invalid", _ANNEX_C),
    StatusRule(0x0110, 0x0110, "later", "processing failure", _ANNEX_C),
    # The UID is derived from the exam and the bytes never change: an earlier attempt got there.
    StatusRule(0x0111, 0x0111, "delivered", "the peer holds this instance already", _ANNEX_C),
    StatusRule(0x0112, 0x0115, "never", "the peer refused the request as invalid", _ANNEX_C),
    StatusRule(0x0117, 0x0117, "never", "invalid SOP instance", _ANNEX_C),
    StatusRule(0x0118, 0x0119, "never", "SOP class not known or in conflict", _ANNEX_C),
    StatusRule(0x0120, 0x0121, "never", "attribute missing or its value missing", _ANNEX_C),
    StatusRule(0x0122, 0x0122, "never", "SOP class not supported", _ANNEX_C),
    StatusRule(0x0123, 0x0123, "never", "no such action", _ANNEX_C),
    StatusRule(0x0124, 0x0124, "never", "refused: not authorised", _ANNEX_C),
    StatusRule(0x0210, 0x0210, "later", "duplicate invocation", _ANNEX_C),
    StatusRule(0x0211, 0x0212, "never", "operation not recognised or mistyped", _ANNEX_C),
    StatusRule(0x0213, 0x0213, "later", "resource limitation", _ANNEX_C),
    StatusRule(0xFE00, 0xFE00, "later", "cancelled", _ANNEX_C),
)
"""Looked up from the top: the first range that contains a status is its rule."""

_UNKNOWN = StatusRule(0x0000, 0xFFFF, "never", "a status this node does not know", _ANNEX_C)


def classify(status: int) -> StatusRule:
    """Look up what a C-STORE response status means.

    A status outside the table is for a person: repeating it for ever would hide it.
    """
    return next((rule for rule in STATUSES if status in rule), _UNKNOWN)
