"""Kill -9 of the whole process group at random moments of a node's life."""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from dicomnode.simulation import recipe_for, simulate, write
from torture.arena import REAL, Arena
from torture.figures import Figure
from torture.scanner import Study, clip_of_file
from torture.scenario import Scale, Scenario, Trouble

START_S = 3.0
"""About as long as a node takes to start: kills while starting fall within it."""
AFTER_EVENT_S = 0.25
"""Kills fall up to so long after the event that begins a phase."""


def starting(arena: Arena) -> None:
    time.sleep(arena.rng.uniform(0, START_S))


def receiving(arena: Arena) -> None:
    _ready_and_sent_to(arena)
    before = len(arena.scanner.acknowledged)
    if arena.rng.random() < 0.5:
        arena.wait_for("a clip is acknowledged", lambda: len(arena.scanner.acknowledged) > before)
    time.sleep(arena.rng.uniform(0, AFTER_EVENT_S))


def analysing(arena: Arena) -> None:
    _until(arena, "step.started", step="process")


def publishing(arena: Arena) -> None:
    _until(arena, "step.finished", step="process")


def delivering(arena: Arena) -> None:
    _ready_and_sent_to(arena)
    before = arena.pacs.asked
    arena.wait_for("something is delivered", lambda: arena.pacs.asked > before)
    time.sleep(arena.rng.uniform(0, AFTER_EVENT_S))


PHASES: Mapping[str, Callable[[Arena], None]] = {
    "starting": starting,
    "receiving": receiving,
    "analysing": analysing,
    "publishing": publishing,
    "delivering": delivering,
}


def scenarios(scale: Scale) -> list[Scenario]:
    lives, each = divmod(scale.kills, scale.kills_in_a_life)[0], scale.kills_in_a_life
    found = [
        Scenario(name=f"run {number + 1} of {each} kills", run=partial(_killed, each))
        for number in range(lives)
    ]
    if scale.every_phase:
        found.append(Scenario(name="twelve kills in one analysis", run=_killed_in_one_analysis))
        run = partial(_killed_in_real_analyses, scale.real_kills)
        found.append(
            Scenario(name=f"{scale.real_kills} kills, real analysis", run=run, command=REAL)
        )
    return found


def _killed(kills: int, arena: Arena) -> None:
    for _ in range(kills):
        arena.start()
        PHASES[arena.rng.choice(list(PHASES))](arena)
        arena.kill()
        arena.did["kills"] += 1
    _drain(arena)


def _killed_in_one_analysis(arena: Arena) -> None:
    """An exam that was under way at every power cut is as innocent as any."""
    arena.start().ready()
    arena.send(1, "wait")
    for _ in range(12):
        arena.wait_for("a worker is at it, or it was given up", lambda: _at_it_or_over(arena))
        if not arena.marker("wait").exists():
            break
        arena.kill()
        arena.did["kills"] += 1
        arena.marker("wait").unlink()
        arena.start().ready()
    arena.marker("go").touch()
    arena.settle()


def _at_it_or_over(arena: Arena) -> bool:
    return arena.marker("wait").exists() or not arena.books.unfinished()


def _killed_in_real_analyses(kills: int, arena: Arena) -> None:
    """The analysis itself, on a simulated exam; what is expected is what the ledger names."""
    arena.studies_judged = False
    exam = simulate(recipe_for("malignant", 11, preset="small", frames=60))
    (path,) = write(exam, arena.root / "exam")
    clip = clip_of_file(path)
    arena.scanner.add(Study(uid=clip.study_uid, comment="", clips=(clip,)))
    for _ in range(kills):
        arena.start().ready()
        arena.scanner.send_all(arena.scanner.owes())
        time.sleep(arena.rng.uniform(0, 2 * START_S))
        arena.kill()
        arena.did["kills"] += 1
    _drain(arena)
    for uid in arena.books.outputs():
        if uid not in arena.pacs.held:
            arena.fault(Figure.MISSING, f"{uid} is recorded and did not arrive")


def _drain(arena: Arena) -> None:
    """One more life, in which everything comes to its end."""
    arena.start().ready()
    arena.send_rest()
    arena.settle()


def _ready_and_sent_to(arena: Arena) -> None:
    assert arena.node is not None
    arena.node.ready()
    sender = threading.Thread(target=_send, args=(arena,), daemon=True)
    sender.start()


def _send(arena: Arena) -> None:
    """What an earlier life did not acknowledge, then something new."""
    arena.scanner.send_all(arena.scanner.owes())
    arena.send(arena.rng.randint(1, 3), arena.rng.choice(["", "", "two injections"]))


def _until(arena: Arena, event: str, **values: str) -> None:
    _ready_and_sent_to(arena)
    assert arena.node is not None
    arena.node.wait_for(event, **values)
    time.sleep(arena.rng.uniform(0, AFTER_EVENT_S))


TROUBLE = Trouble(
    name="kills",
    what="kill -9 of the process group while starting, receiving, analysing, publishing and "
    "delivering; each run is drained in one more life",
    scenarios=scenarios,
)
