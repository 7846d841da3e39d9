"""The page in conformance/: counts, seed and command."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from conformance.markdown import table
from torture.figures import REACH, Figure
from torture.runner import Done
from torture.table import TROUBLES

__all__ = ["PAGE", "page", "summary"]

PAGE = Path(__file__).resolve().parents[2] / "conformance" / "torture.md"


def summary(done: Sequence[Done]) -> str:
    """The table of figures."""
    faults = Counter(fault.figure for one in done for fault in one.outcome.faults)
    rows = [(figure, faults[figure], REACH[figure]) for figure in Figure]
    rows.append(("scenarios that could not go on", sum(bool(one.broken) for one in done), 0))
    return table(("figure", "found", "reach"), rows)


def page(done: Sequence[Done], *, planned: int, seed: int, took_s: float) -> str:
    """The whole page; it says how many of the planned scenarios have ended."""
    return f"""# Torture

Written by `make torture` (seed {seed}, {took_s / 60:.0f} minutes, loopback only; another seed:
`PYTHONPATH=tests .venv/bin/python -m torture --seed N`). A real node, a scanner made of bytes that
remembers what was acknowledged, and a PACS that counts what arrives; the ledger is read by sqlite3.
The analysis is a stand-in except where it says otherwise. {len(done)} of {planned} scenarios had
ended when this was written.

{summary(done)}

## What was done

{_kinds(done)}

## What went wrong

{_faults(done)}
"""


def _kinds(done: Sequence[Done]) -> str:
    rows = []
    for trouble in TROUBLES:
        ours = [one for one in done if one.trouble == trouble.name]
        did: Counter[str] = Counter()
        for one in ours:
            did.update(one.outcome.did)
        counts = ", ".join(f"{count} {what}" for what, count in sorted(did.items()))
        rows.append((trouble.name, trouble.what, len(ours), counts, _measured(ours)))
    return table(("kind", "what is done", "scenarios", "counts", "largest measured"), rows)


def _measured(done: Sequence[Done]) -> str:
    largest: dict[str, float] = {}
    for one in done:
        for name, value in one.outcome.measured.items():
            largest[name] = max(value, largest.get(name, value))
    return ", ".join(f"{name} {value:.1f}" for name, value in sorted(largest.items()))


def _faults(done: Sequence[Done]) -> str:
    lines = [
        f"- {one.trouble}, {one.scenario}: {fault.figure}: {fault.what}"
        for one in done
        for fault in one.outcome.faults
    ]
    lines += [f"- {one.trouble}, {one.scenario}: could not go on" for one in done if one.broken]
    lines += [
        f"- {one.trouble}, {one.scenario}: not run: {one.skipped}" for one in done if one.skipped
    ]
    return "\n".join(lines) or "Nothing."
