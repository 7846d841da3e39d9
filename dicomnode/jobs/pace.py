"""Pauses before the same work is begun again, so that what fails at once is not tried at once."""

import hashlib
from collections.abc import Callable

__all__ = ["Pace", "backoff_s"]

_FIRST_S = 1.0
_LONGEST_S = 30.0
_KEPT_S = 120.0


class Pace:
    """Lets work begin at once, then again after 1 s, 2 s, 4 s and so on up to 30 s.

    Parameters
    ----------
    monotonic : callable
        Seconds by a clock that nobody can set.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._begun: dict[str, tuple[int, float]] = {}

    def may_begin(self, work: str) -> bool:
        """Say whether the pause is over; if so, the next one begins."""
        now = self._monotonic()
        times, next_at = self._begun.get(work, (0, 0.0))
        if times and now < next_at:
            return False
        pause_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(times, 32))
        self._begun[work] = (times + 1, now + pause_s)
        return True

    def forget_done(self) -> None:
        """Forget work that nobody began again for two minutes."""
        now = self._monotonic()
        self._begun = {
            work: (times, next_at)
            for work, (times, next_at) in self._begun.items()
            if now < next_at + _KEPT_S
        }


def backoff_s(attempt: int, *, key: str, first_s: float, longest_s: float) -> float:
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
