"""What a C-STORE status asks of the sender, and when to try again. No sockets, no clock."""

import hashlib
from dataclasses import dataclass
from typing import Literal

__all__ = ["STATUSES", "Judgement", "Outcome", "backoff_s", "judge"]

Outcome = Literal["sent", "retry", "park"]
"""Stored; not stored and worth another attempt; not stored and a person must look."""


@dataclass(frozen=True)
class Judgement:
    """A range of status codes, what it means, what to do, and where the standard says so."""

    first: int
    last: int
    outcome: Outcome
    meaning: str
    source: str

    def __contains__(self, status: int) -> bool:
        return self.first <= status <= self.last


_B_2_1 = "PS3.4 Table B.2-1"
_ANNEX_C = "PS3.7 Annex C"

STATUSES: tuple[Judgement, ...] = (
    Judgement(0x0000, 0x0000, "sent", "success", _ANNEX_C),
    Judgement(0xB000, 0xB000, "sent", "stored, data elements coerced", _B_2_1),
    Judgement(0xB006, 0xB006, "sent", "stored, elements discarded", _B_2_1),
    Judgement(0xB007, 0xB007, "sent", "stored, does not match its SOP class", _B_2_1),
    Judgement(0xB000, 0xBFFF, "sent", "stored, with a warning", _ANNEX_C),
    Judgement(0x0001, 0x0001, "sent", "stored, with a warning", _ANNEX_C),
    Judgement(0x0107, 0x0107, "sent", "stored, attribute list error", _ANNEX_C),
    Judgement(0x0116, 0x0116, "sent", "stored, attribute value out of range", _ANNEX_C),
    Judgement(0xA700, 0xA7FF, "retry", "refused: out of resources", _B_2_1),
    Judgement(0xA900, 0xA9FF, "park", "data set does not match its SOP class", _B_2_1),
    Judgement(0xC000, 0xCFFF, "park", "cannot understand", _B_2_1),
    Judgement(0x0105, 0x0106, "park", "attribute not known or its value invalid", _ANNEX_C),
    Judgement(0x0110, 0x0110, "retry", "processing failure", _ANNEX_C),
    # The UID is derived from the exam and the bytes never change: an earlier attempt got there.
    Judgement(0x0111, 0x0111, "sent", "the peer holds this instance already", _ANNEX_C),
    Judgement(0x0112, 0x0115, "park", "the peer refused the request as invalid", _ANNEX_C),
    Judgement(0x0117, 0x0117, "park", "invalid SOP instance", _ANNEX_C),
    Judgement(0x0118, 0x0119, "park", "SOP class not known or in conflict", _ANNEX_C),
    Judgement(0x0120, 0x0121, "park", "attribute missing or its value missing", _ANNEX_C),
    Judgement(0x0122, 0x0122, "park", "SOP class not supported", _ANNEX_C),
    Judgement(0x0123, 0x0123, "park", "no such action", _ANNEX_C),
    Judgement(0x0124, 0x0124, "park", "refused: not authorised", _ANNEX_C),
    Judgement(0x0210, 0x0210, "retry", "duplicate invocation", _ANNEX_C),
    Judgement(0x0211, 0x0212, "park", "operation not recognised or mistyped", _ANNEX_C),
    Judgement(0x0213, 0x0213, "retry", "resource limitation", _ANNEX_C),
    Judgement(0xFE00, 0xFE00, "retry", "cancelled", _ANNEX_C),
)
"""Looked up from the top: the first range that contains a status is its judgement."""

_UNKNOWN = Judgement(0x0000, 0xFFFF, "park", "a status this node does not know", _ANNEX_C)


def judge(status: int) -> Judgement:
    """Look up what a C-STORE response status means.

    A status outside the table parks: repeating it for ever would hide it from people.
    """
    return next((judgement for judgement in STATUSES if status in judgement), _UNKNOWN)


def backoff_s(attempt: int, *, key: str, first_s: float = 10.0, longest_s: float = 3600.0) -> float:
    """Say how long to wait after a failed attempt: doubling, capped, spread apart.

    Parameters
    ----------
    attempt : int
        1 after the first failure.
    key : str
        Names the delivery. Deliveries that failed together come back at different moments,
        each always at the same one.

    Returns
    -------
    float
        Seconds, between half of the doubled time and the whole of it.
    """
    ceiling_s = min(longest_s, first_s * 2.0 ** min(attempt - 1, 32))
    digest = hashlib.sha256(f"{key}:{attempt}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    return ceiling_s * (0.5 + 0.5 * share)
