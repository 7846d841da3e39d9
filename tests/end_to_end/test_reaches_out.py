"""Nothing reaches out: no call but to peers, no file but in data, cache and temporary folders.

The kernel is asked, not the libraries: strace watches every process from its start, in a home that
is empty.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomnode.store.states import ExamState
from parts.site import Site
from parts.traced import Trace, traced
from parts.waiting import PATIENCE_S

PACKAGE = Path(__file__).parents[2] / "dicomnode"
SCRATCH = (Path("/dev/shm"), Path("/dev/null"))
"""Semaphores, and nothing."""

LOOPBACK = 'htons(9), sin_addr=inet_addr("127.0.0.1")'
CARELESS = """
import os, socket, sys
from pathlib import Path
Path.home().joinpath("telemetry").write_text("id")
Path.home().joinpath(".config").mkdir()
Path(sys.argv[1]).touch(); Path(sys.argv[1]).rename(Path.home() / "moved")
probe = socket.socket(); probe.setblocking(False)
probe.connect_ex(("192.0.2.1", 443))
probe = socket.socket(); probe.connect_ex(("127.0.0.1", 9))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.53", 53))
socket.socket(socket.AF_UNIX).connect_ex("/run/somebody")
try: socket.getaddrinfo("telemetry.invalid", 443)
except OSError: pass
"""


class Fence:
    """A home, a folder for temporary files and one for what strace saw, all of them empty."""

    def __init__(self, root: Path) -> None:
        self.home, self.scratch, self.calls = root / "home", root / "scratch", root / "calls"
        self.home.mkdir()
        self.scratch.mkdir()
        self.environment = {"HOME": str(self.home), "TMPDIR": str(self.scratch)}
        self.trace = Trace(self.calls)

    def command(self, *words: object) -> tuple[str, ...]:
        return traced(tuple(map(str, words)), self.calls)

    def outside(self, *data: Path) -> list[str]:
        """Files written in none of the folders that the program has a right to."""
        ours = (*data, self.home / ".cache", self.scratch, *SCRATCH)
        bytecode = tuple(PACKAGE.rglob("__pycache__"))
        found = self.trace.wrote(*ours, *bytecode)
        return [path for path in found if "/proc/self/" not in path]


@pytest.fixture
def fence() -> Iterator[Fence]:
    """Below a short path: that of a socket has at most 107 bytes (unix(7))."""
    with tempfile.TemporaryDirectory(prefix="fence-") as folder:
        yield Fence(Path(folder))


def test_the_fence_sees_a_program_that_does_what_none_should(fence: Fence, tmp_path: Path) -> None:
    command = fence.command(sys.executable, "-S", "-c", CARELESS, tmp_path / "careless")
    subprocess.run(command, env=os.environ | fence.environment, check=True, timeout=PATIENCE_S)
    calls = "\n".join(fence.trace.reached([], []))
    for address in ("192.0.2.1", "192.0.2.53", "/run/somebody"):
        assert address in calls
    assert 'htons(9), sin_addr=inet_addr("127.0.0.1")' in calls
    assert 'htons(9), sin_addr=inet_addr("127.0.0.1")' not in "\n".join(
        fence.trace.reached([9], [])
    )
    assert "/etc/hosts" in fence.trace.looked_up()
    home = fence.home
    written = {str(home / name) for name in ("telemetry", ".config", "moved")}
    assert written | {str(tmp_path / "careless")} == set(fence.outside())


def test_analyse_calls_nobody_and_writes_where_it_was_told(
    fence: Fence, tmp_path: Path, simulated: Callable[..., list[Path]]
) -> None:
    (clip,) = simulated()
    output = tmp_path / "result"
    command = fence.command(sys.executable, "-m", "dicomnode.cli", "analyse", clip, "-o", output)
    subprocess.run(command, env=os.environ | fence.environment, check=True, timeout=PATIENCE_S)
    assert (output / "result.json").exists()
    assert fence.trace.reached([], [fence.scratch]) == []
    assert fence.trace.looked_up() == []
    assert fence.outside(output) == []


def test_a_node_calls_its_destinations_and_writes_into_its_data(
    fence: Fence, tmp_path: Path, simulated: Callable[..., list[Path]], new_site: Any
) -> None:
    site: Site = new_site(tmp_path / "site")
    site.root.mkdir()
    site.write_settings()
    site.start_pacs()
    command = fence.command(sys.executable, "-m", "dicomnode.cli", "serve", "-c")
    node = site.start_node(command=command, **fence.environment).ready()
    site.send(*simulated())
    (exam,) = site.wait_until_delivered()
    assert exam.state is ExamState.ANALYSED
    assert len(site.received()) == 6
    assert node.stop() == 0
    peers = (site.pacs_port, site.port, site.web_port)
    assert fence.trace.reached(peers, [fence.scratch]) == []
    assert fence.trace.looked_up() == []
    assert fence.outside(site.data_dir) == []
