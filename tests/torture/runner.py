"""Runs scenarios, each in an arena of its own, and gathers what they found."""

import os
import random
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from torture.arena import STATED, Arena, Limits
from torture.figures import Outcome
from torture.scenario import Scale, Scenario, Trouble

__all__ = ["Done", "run", "run_all"]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What one scenario came to; ``broken`` is where the scenario itself could not go on."""

    trouble: str
    scenario: str
    took_s: float
    outcome: Outcome
    broken: str = ""
    skipped: str = ""


def run_all(
    troubles: Sequence[Trouble], scale: Scale, *, seed: int, at_once: int
) -> Iterator[Done]:
    """Run every scenario; each has dice of its own, so that it can be run again alone.

    The troubles take turns: some keep the machine busy, others wait most of the time.
    """
    turns = zip_longest(
        *([(trouble.name, one) for one in trouble.scenarios(scale)] for trouble in troubles)
    )
    with ThreadPoolExecutor(at_once) as pool:
        waiting = [pool.submit(run, *one, seed) for turn in turns for one in turn if one]
        for future in as_completed(waiting):
            yield future.result()


def run(trouble: str, scenario: Scenario, seed: int, limits: Limits = STATED) -> Done:
    """Run one scenario to its verdict; what it cannot go on from is told, not raised."""
    begun = time.monotonic()
    if scenario.needs:
        return _done(trouble, scenario, begun, Outcome(), skipped=scenario.needs)
    dice = random.Random(zlib.crc32(f"{seed} {trouble} {scenario.name}".encode()))
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as folder:
        arena = Arena(Path(folder), dice, command=scenario.command, limits=limits)
        with arena:
            try:
                scenario.run(arena)
                done = _done(trouble, scenario, begun, arena.verdict())
            except Exception as error:
                found = Outcome(did=arena.did, measured=arena.measured, faults=tuple(arena.faults))
                done = _done(trouble, scenario, begun, found, broken=_where(error))
        if (keep := os.environ.get("TORTURE_KEEP")) and (done.broken or done.outcome.faults):
            _keep_logs(Path(folder), Path(keep) / f"{trouble}-{scenario.name}")
        return done


def _done(
    trouble: str,
    scenario: Scenario,
    begun: float,
    outcome: Outcome,
    *,
    broken: str = "",
    skipped: str = "",
) -> Done:
    return Done(
        trouble=trouble,
        scenario=scenario.name,
        took_s=time.monotonic() - begun,
        outcome=outcome,
        broken=broken,
        skipped=skipped,
    )


def _where(error: Exception) -> str:
    """What was raised, and the lines of this package that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    passed = [f"{one.name}:{one.lineno}" for one in frames if "torture" in one.filename]
    return f"{type(error).__name__}: {str(error)[:300]} ({' > '.join(passed)})"


def _keep_logs(folder: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        (target / log.name).write_bytes(log.read_bytes())
