"""A site on loopback: a node, a sender and a PACS, each a process of its own."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.filereader import read_file_meta_info
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow
from dicomnode.store.states import DeliveryState
from parts.programs import program
from parts.waiting import PATIENCE_S, free_port, listens, wait_until

__all__ = ["Destination", "RunningNode", "Site"]

TESTS = Path(__file__).parents[1]
PROPOSED = {JPEGBaseline8Bit: "-xy", RLELossless: "-xr"}
"""What storescu must be told, or it would offer a clip uncompressed only."""
AT_REST = {DeliveryState.SENT, DeliveryState.PARKED}


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A PACS as the node's settings name it."""

    name: str
    ae_title: str
    port: int


@dataclass
class Site:
    """A node's settings and directories; nodes come and go, these stay.

    ``command`` starts a node when the path of its settings is added to it.
    """

    root: Path
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = PATIENCE_S
    port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    pacs_port: int = field(default_factory=free_port)
    further: tuple[Destination, ...] = ()
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def settings(self) -> Path:
        return self.root / "node.toml"

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def pacs_dir(self) -> Path:
        return self.root / "pacs"

    def write_settings(
        self,
        *,
        quiet_s: float = 0.3,
        timeout_s: float = PATIENCE_S,
        workers: int = 1,
        refusals: bool = False,
        min_free_gib: float = 0.1,
    ) -> None:
        pacs = Destination(name="pacs", ae_title="PACS", port=self.pacs_port)
        destinations = "".join(
            f"""
[[destination]]
name = "{one.name}"
ae_title = "{one.ae_title}"
host = "127.0.0.1"
port = {one.port}
refusals = {str(refusals).lower()}
"""
            for one in (pacs, *self.further)
        )
        self.settings.write_text(f"""
[node]
data_dir = "{self.data_dir}"
port = {self.port}
workers = {workers}
analysis_timeout_s = {timeout_s}
[[accept]]
ae_title = "SCANNER1"
hosts = ["127.0.0.1"]
{destinations}
[settle]
quiet_s = {quiet_s}
[delivery]
first_retry_s = 0.5
longest_retry_s = 1.0
[retention]
min_free_gib = {min_free_gib}
[web]
port = {self.web_port}
""")

    def start_node(self, *, command: Sequence[str] = (), **environment: str) -> "RunningNode":
        node = RunningNode(self, command or self.command, environment)
        self.processes.append(node.process)
        return node

    def start_pacs(self) -> "subprocess.Popen[str]":
        self.pacs_dir.mkdir(exist_ok=True)
        options = ["+xa", "-aet", "PACS", "-od", str(self.pacs_dir), str(self.pacs_port)]
        process = subprocess.Popen(
            [program("storescp"), *options], stderr=subprocess.DEVNULL, text=True
        )
        self.processes.append(process)
        self.wait_until("the PACS listens", lambda: listens(self.pacs_port))
        return process

    def send(self, *paths: Path) -> None:
        done = self.try_to_send(*paths)
        assert done.returncode == 0, done.stderr

    def try_to_send(
        self, *paths: Path, calling: str = "SCANNER1", called: str = "CEUSNODE"
    ) -> "subprocess.CompletedProcess[str]":
        syntax = read_file_meta_info(paths[0]).TransferSyntaxUID
        options = [PROPOSED.get(syntax, "-xe"), "-aet", calling, "-aec", called]
        return subprocess.run(
            [program("storescu"), *options, "127.0.0.1", str(self.port), *map(str, paths)],
            env={**os.environ, "TCP_NODELAY": "1"},
            capture_output=True,
            text=True,
            timeout=self.patience_s,
        )

    def received(self) -> list[Path]:
        return sorted(self.pacs_dir.glob("*.*"))

    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.data_dir}/ledger.sqlite")

    def wait_until(self, what: str, condition: Any) -> Any:
        return wait_until(what, condition, patience_s=self.patience_s)

    def wait_until_delivered(self, study_uid: str | None = None) -> tuple[ExamRow, ...]:
        """Wait until every exam (of a study) has results and all of them arrived, or not ever."""
        ledger = self.ledger()

        def arrived() -> tuple[ExamRow, ...]:
            exams: tuple[ExamRow, ...] = ledger.exams(study_uid=study_uid)
            rows = [ledger.deliveries(exam.id) for exam in exams]
            there = all(row and {one.state for one in row} <= AT_REST for row in rows)
            return exams if there else ()

        try:
            exams: tuple[ExamRow, ...] = self.wait_until("all results have arrived", arrived)
        finally:
            ledger.close()
        return exams

    def close(self) -> None:
        """End every process, by its own number."""
        for process in self.processes:
            process.kill()
            process.wait()


class RunningNode:
    """A node's process and what it logged."""

    def __init__(self, site: Site, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.site = site
        self.log = site.root / f"node-{len(site.processes)}.log"
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                [*command, str(site.settings)],
                env={
                    **os.environ,
                    "PYTHONPATH": str(TESTS),
                    "OMP_NUM_THREADS": "1",
                    **site.environment,
                    **environment,
                },
                stderr=stream,
                text=True,
                process_group=0,
            )

    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n") and line[0] == "{"]

    def saw(self, event: str, **values: Any) -> dict[str, Any] | None:
        wanted = {"event": event, **values}
        return next((one for one in self.events() if wanted.items() <= one.items()), None)

    def wait_for(self, event: str, **values: Any) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            seen = self.saw(event, **values)
            assert seen or self.process.poll() is None, self.log.read_text()
            return seen

        logged: dict[str, Any] = self.site.wait_until(
            f"the node logs {event} {values}; see {self.log}", found
        )
        return logged

    def ready(self) -> "RunningNode":
        self.wait_for("node.ready")
        return self

    def wait_for_death(self) -> None:
        """Wait until a node that was told where to die did so."""
        assert self.process.wait(self.site.patience_s) == -signal.SIGKILL, self.log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def kill_group(self) -> None:
        """Kill it with every process it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(self.site.patience_s)
