"""Mutated files by raw C-STORE into a node, and through the reader of studies."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from torture.arena import Arena
from torture.figures import Figure
from torture.mutate import file_of, mutated, sources
from torture.reader import TAG
from torture.reading import Reading
from torture.scanner import Clip
from torture.scenario import Scale, Scenario, Trouble
from torture.wire import LostError, connected

__all__ = ["TROUBLE"]

SEED = 1_501
"""With a file's number it makes the file again: ``mutated(sources(folder), SEED, number)``."""
PER_ASSOCIATION = 50
SHARES = 2
FIGURES = {"crash": Figure.CRASHED, "hang": Figure.HUNG, "unnamed": Figure.UNNAMED}


def scenarios(scale: Scale) -> list[Scenario]:
    share = scale.mutated_files // SHARES
    numbers = [range(at * share, (at + 1) * share) for at in range(SHARES)]
    runs: list[tuple[str, Callable[[Arena], None]]] = [
        ("by C-STORE", partial(_by_store, range(scale.mutated_files))),
        *((f"read, {one.start} to {one.stop - 1}", partial(_read, one)) for one in numbers),
        ("analysed", partial(_analysed, scale.mutated_analyses)),
    ]
    return [Scenario(name=name, run=run) for name, run in runs]


def _by_store(numbers: range, arena: Arena) -> None:
    """Each is answered in time; what is acknowledged is kept as it came; the node lives on."""
    arena.studies_judged = False
    arena.site.write_settings(min_free_gib=0.0, quiet_s=86_400)
    node = arena.start().ready()
    clips = sources(arena.root / "sources")
    for at in range(numbers.start, numbers.stop, PER_ASSOCIATION):
        batch = [(n, *mutated(clips, SEED, n)) for n in numbers[at : at + PER_ASSOCIATION]]
        for syntax in {clip.syntax for _, _, clip in batch}:
            _send(arena, [one for one in batch if one[2].syntax == syntax])
    for refusal in node.events():
        if refusal["event"] == "instance.refused" and not TAG.search(refusal["reason"]):
            arena.fault(Figure.UNNAMED, f"C-STORE refused without a tag: {refusal['reason']}")
    arena.send()
    if arena.scanner.owes():
        arena.fault(Figure.CRASHED, "a good clip is not taken afterwards")


def _send(arena: Arena, batch: Sequence[tuple[int, str, Clip]]) -> None:
    left = list(batch)
    while left:
        number, how, clip = left[0]
        try:
            with connected(arena.site.port) as connection:
                connection.associate([(clip.sop_class, clip.syntax)])
                while left:
                    number, how, clip = left.pop(0)
                    begun = time.monotonic()
                    status = arena.scanner.store(connection, clip)
                    arena.did["answers 0x0000" if status == 0 else "refusals"] += 1
                    if time.monotonic() - begun > arena.limits.answer_s:
                        arena.fault(Figure.HUNG, f"file {number}, {how}: {status:#06x} came late")
                connection.release()
        except LostError as error:
            arena.fault(Figure.CRASHED, f"file {number}, {how}: no answer: {error}")
        except TimeoutError:
            arena.fault(Figure.HUNG, f"file {number}, {how}: no answer")


def _read(numbers: range, arena: Arena) -> None:
    clips = sources(arena.root / "sources")
    path = arena.root / "mutated.dcm"
    with Reading() as reading:
        for number in numbers:
            how, clip = mutated(clips, SEED, number)
            path.write_bytes(file_of(clip))
            kind, text = reading.ask(path)
            arena.did[f"files {kind}"] += 1
            if kind in FIGURES:
                arena.fault(FIGURES[kind], f"file {number}, {how}: {text}")
    arena.ledger_judged = False


def _analysed(count: int, arena: Arena) -> None:
    """The whole analysis of those that can be read."""
    clips = sources(arena.root / "sources")
    path = arena.root / "mutated.dcm"
    number = -1
    with Reading() as reading:
        while arena.did["files analysed"] < count:
            number += 1
            how, clip = mutated(clips, SEED, number)
            path.write_bytes(file_of(clip))
            if reading.ask(path)[0] != "read":
                continue
            kind, text = reading.ask(path, analyse=True)
            arena.did["files analysed"] += 1
            if kind in FIGURES:
                arena.fault(FIGURES[kind], f"file {number}, {how}, analysed: {text}")
    arena.ledger_judged = False


TROUBLE = Trouble(
    name="mutated files",
    what="bytes flipped, cut out and put in, lengths that lie, other values, deep nesting, in five "
    "encodings: as they are by C-STORE, through the reader of studies, some through the analysis",
    scenarios=scenarios,
)
