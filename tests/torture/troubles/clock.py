"""The machine's clock jumps, and is set right again while the node runs."""

import time
from functools import partial

from torture.arena import Arena
from torture.phases import PHASES, at_phases
from torture.scenario import Scale, Scenario, Trouble

__all__ = ["TROUBLE"]

YEAR_S = 365 * 86_400.0
WRONG_S = 3.0
"""Long enough for several rounds of whatever looks at the ledger."""
JUMPS = {"a year ahead": YEAR_S, "a year back": -YEAR_S}


class WrongClock:
    """Wall clock of the node's process off by so much; see torture/run_node.py."""

    def __init__(self, offset_s: float) -> None:
        self._offset_s = offset_s

    def begin(self, arena: Arena) -> None:
        _set(arena, self._offset_s)

    def last(self, arena: Arena) -> None:
        time.sleep(WRONG_S)

    def end(self, arena: Arena) -> None:
        _set(arena, 0.0)


def _set(arena: Arena, offset_s: float) -> None:
    new = arena.root / "clock-offset.new"
    new.write_text(str(offset_s))
    new.replace(arena.root / "clock-offset")


def scenarios(scale: Scale) -> list[Scenario]:
    phases = list(PHASES) if scale.every_phase else ["receiving"]
    jumps = JUMPS if scale.every_phase else ["a year ahead"]
    return [
        scenario
        for jump in jumps
        for scenario in at_phases(jump, partial(WrongClock, JUMPS[jump]), phases)
    ]


TROUBLE = Trouble(
    name="clock",
    what="the clock is set a year ahead or back at each phase, and set right after a few seconds",
    scenarios=scenarios,
)
