"""A scenario by its name, and a trouble as a list of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torture.arena import STAND_IN, Arena

__all__ = ["Run", "Scale", "Scenario", "Trouble"]

Run: TypeAlias = Callable[[Arena], None]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of everything: the full form, or the short one of the tests."""

    kills: int
    kills_in_a_life: int
    real_kills: int
    mutated_files: int
    mutated_analyses: int
    exams_in_a_row: int
    connections: int
    instances: int
    every_phase: bool


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One arena's worth; ``needs`` names why it cannot run here, or is empty."""

    name: str
    run: Run
    command: Sequence[str] = STAND_IN
    needs: str = ""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One kind, and what is done of it."""

    name: str
    what: str
    scenarios: Callable[[Scale], Sequence[Scenario]]
