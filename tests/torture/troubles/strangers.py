"""Connections and look-ups of a node that receives, analyses and delivers, as strace sees them."""

import re
import shutil
from pathlib import Path

from dicomnode.simulate import recipe_for, simulate, write
from torture.arena import REAL, Arena
from torture.figures import Figure
from torture.scanner import Study, clip_of_file
from torture.scenario import Scale, Scenario, Trouble

__all__ = ["TROUBLE"]

CALL = re.compile(r"(connect|sendto|sendmsg)\(")
INTERNET = re.compile(
    r"sin6?_port=htons\((\d+)\).*?(?:inet_addr\(\"|inet_pton\(AF_INET6, \")([^\"]+)"
)
NAME_SERVICE = ("/etc/resolv.conf", "nscd")


def scenarios(scale: Scale) -> list[Scenario]:
    if not scale.every_phase:
        return []
    needs = "" if shutil.which("strace") else "needs strace"
    return [Scenario(name="one exam, real analysis", run=_run, command=REAL, needs=needs)]


def _run(arena: Arena) -> None:
    arena.studies_judged = False
    trace = arena.root / "trace"
    strace = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,openat", "-o", str(trace)]
    (path,) = write(
        simulate(recipe_for("malignant", 11, preset="small", frames=60)), arena.root / "exam"
    )
    clip = clip_of_file(path)
    node = arena.site.start_node(command=[*strace, *arena.site.command])
    node.ready()
    arena.scanner.send(Study(uid=clip.study_uid, comment="", clips=(clip,)))
    arena.wait_for("the results arrive", lambda: arena.pacs.held and not arena.books.unfinished())
    arena.site.close()
    peers = {arena.site.port, arena.site.web_port, arena.site.pacs_port}
    for call in _strange(trace, peers):
        arena.fault(Figure.STRANGERS, call)
    arena.did["calls seen"] += sum(1 for line in trace.open(errors="replace") if CALL.search(line))


def _strange(trace: Path, peers: set[int]) -> set[str]:
    """Calls that name an address or a name service and none of the peers."""
    found = set()
    for line in trace.open(errors="replace"):
        call = line.partition(" ")[2].strip()
        address = INTERNET.search(call)
        known = address and address[2] in ("127.0.0.1", "::1") and int(address[1]) in peers
        if (address and not known) or any(name in call for name in NAME_SERVICE):
            found.add(call[:160])
    return found


TROUBLE = Trouble(
    name="strangers",
    what="every connect, sendto and name look-up of a node that receives, analyses and delivers "
    "one exam (strace), against the peers of its settings",
    scenarios=scenarios,
)
