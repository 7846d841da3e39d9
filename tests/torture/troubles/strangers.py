"""Whom a node calls that receives, analyses and delivers one exam, as strace sees it."""

import shutil

from dicomnode.simulation import recipe_for, simulate, write
from parts.traced import Trace, traced
from torture.arena import REAL, Arena
from torture.figures import Figure
from torture.scanner import Study, clip_of_file
from torture.scenario import Scale, Scenario, Trouble

__all__ = ["TROUBLE"]


def scenarios(scale: Scale) -> list[Scenario]:
    """None in the short form: tests/end_to_end watches as much."""
    if not scale.every_phase:
        return []
    needs = "" if shutil.which("strace") else "needs strace"
    return [Scenario(name="one exam, real analysis", run=_run, command=REAL, needs=needs)]


def _run(arena: Arena) -> None:
    arena.studies_judged = False
    (path,) = write(
        simulate(recipe_for("malignant", 11, preset="small", frames=60)), arena.root / "exam"
    )
    clip = clip_of_file(path)
    scratch = arena.root / "scratch"
    scratch.mkdir()
    trace = Trace(arena.root / "calls")
    command = traced(arena.site.command, trace.folder)
    node = arena.site.start_node(command=command, TMPDIR=str(scratch)).ready()
    arena.scanner.send(Study(uid=clip.study_uid, comment="", clips=(clip,)))
    arena.wait_for("the results arrive", lambda: arena.pacs.held and not arena.books.unfinished())
    node.stop()
    peers = (arena.site.port, arena.site.web_port, arena.site.pacs_port)
    for call in (*trace.reached(peers, [scratch]), *trace.looked_up()):
        arena.fault(Figure.STRANGERS, call[:200])
    arena.did["calls seen"] += sum(1 for _ in trace.lines())


TROUBLE = Trouble(
    name="strangers",
    what="every connect, sendto and name look-up of a node that receives, analyses and delivers "
    "one exam (strace), against the peers of its settings",
    scenarios=scenarios,
)
