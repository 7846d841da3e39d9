"""What the doors cost: commands that only look, and a node that has nothing to do."""

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

from dicomnode.store.ledger import Ledger
from dicomnode.store.url import sqlite_url
from tests.benchmarks.row import Row

__all__ = ["doors"]

RUNS = 5
IDLE_S = 30.0
START_S = 120.0
LIST_LIMIT, MEMORY_LIMIT_MIB, CPU_LIMIT = 3.0, 120.0, 0.005
COMMAND = ("-m", "dicomnode.cli")
_TICKS = os.sysconf("SC_CLK_TCK")


def doors() -> Iterator[Row]:
    """CPU of `exams list` over that of `--version`; memory and CPU of an idle node."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port, settings = _settings(folder)
        Ledger(sqlite_url(folder / "ledger.sqlite")).close()
        version_s = _cpu_s([*COMMAND, "--version"])
        listed = _cpu_s([*COMMAND, "exams", "list", "-c", str(settings)]) / version_s
        yield Row("exams list / --version, CPU", f"{listed:.1f}", f"limit {LIST_LIMIT:g}")
        least = _cpu_s(["-c", "import sqlalchemy"]) / version_s
        yield Row("importing SQLAlchemy alone / --version", f"{least:.1f}", "no list is below it")
        with _node(settings, port) as process:
            before_s = _spent_s(process)
            time.sleep(IDLE_S)
            share = (_spent_s(process) - before_s) / IDLE_S
            resident = _resident_mib(process)
        yield Row("idle node, MiB resident", f"{resident:.0f}", f"limit {MEMORY_LIMIT_MIB:.0f}")
        yield Row("idle node, share of a core", f"{share:.2%}", f"limit {CPU_LIMIT:.1%}")


def _settings(folder: Path) -> tuple[int, Path]:
    ports = [_free_port() for _ in range(2)]
    path = folder / "node.toml"
    path.write_text(
        f'[node]\ndata_dir = "{folder}"\nport = {ports[0]}\n'
        f"[web]\nport = {ports[1]}\n[retention]\nmin_free_gib = 0\n"
    )
    return ports[1], path


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _cpu_s(arguments: Sequence[str]) -> float:
    """Processor time of a Python process, user and system, median."""
    spent = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(spent)


@contextmanager
def _node(settings: Path, port: int) -> Iterator[Path]:
    """A node that is ready; gives its folder in /proc."""
    command = [sys.executable, *COMMAND, "serve", "-c", str(settings)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as node:
        try:
            give_up_at = time.monotonic() + START_S
            while not _is_ready(port) and time.monotonic() < give_up_at:
                time.sleep(0.2)
            yield Path("/proc") / str(node.pid)
        finally:
            node.terminate()


def _is_ready(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready") as said:
        return bool(said.status == 200)
    return False


def _spent_s(process: Path) -> float:
    user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


def _resident_mib(process: Path) -> float:
    lines = (process / "status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(resident) / 1024
