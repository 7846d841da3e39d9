"""What is counted: the figures of torture, and what one scenario found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["REACH", "Fault", "Figure", "Outcome"]


class Figure(StrEnum):
    """A kind of fault. Each is wanted to be zero."""

    LOST = "acknowledged instances lost"
    MISSING = "results missing"
    DOUBLED = "results doubled"
    STUCK = "rows not final one minute after the cause has gone, without restart"
    GIVEN_UP = "innocent exams given up"
    SILENT = "troubles that the node did not name"
    CRASHED = "crashes"
    HUNG = "answers that took more than 10 s"
    UNNAMED = "refusals without file and tag"
    GREW = "growth of memory, files or threads over 2 %"
    STRANGERS = "connections or look-ups that are not peers"


REACH: Mapping[Figure, int] = dict.fromkeys(Figure, 0)
"""What each figure must not exceed."""


@dataclass(frozen=True)
class Fault:
    """One thing that went wrong, in words that let it be made again."""

    figure: Figure
    what: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a scenario did and found.

    ``did`` counts what happened (kills, instances acknowledged, results that arrived, ...);
    ``measured`` names what has a value of its own (seconds, per cent).
    """

    did: Mapping[str, int] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
