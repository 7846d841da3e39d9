"""One node with its scanner and its PACS, and the judgement at the end."""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from parts.site import TESTS, RunningNode, Site
from parts.waiting import PATIENCE_S, wait_until
from torture.figures import Fault, Figure, Outcome
from torture.judge import Books, doubled, given_up, lost, missing
from torture.pacs import Pacs
from torture.ports import Ports
from torture.scanner import Scanner, Study, study

__all__ = ["REAL", "STAND_IN", "STATED", "UNHURRIED", "Arena", "Limits"]

HERE = Path(__file__).parent
STAND_IN = (sys.executable, str(HERE / "run_node.py"))
REAL = (sys.executable, "-m", "dicomnode.cli", "serve", "-c")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Within which time rows are final after a cause has gone, and an instance is answered."""

    final_s: float
    answer_s: float


STATED = Limits(final_s=60.0, answer_s=10.0)
UNHURRIED = Limits(final_s=PATIENCE_S, answer_s=PATIENCE_S)
"""For tests, which must also pass on a machine that is busy: that it comes, not when."""


@dataclass
class Arena:
    """A place for one scenario; whatever was started ends with its block."""

    root: Path
    rng: random.Random
    command: Sequence[str] = STAND_IN
    limits: Limits = STATED
    studies_judged: bool = True
    """Whether the results are those of the stand-in, which the judge can foretell."""
    ledger_judged: bool = True
    """False where the scenario ruined the ledger, and judged by itself."""
    did: Counter[str] = field(default_factory=Counter)
    measured: dict[str, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    guilty: set[str] = field(default_factory=set)
    """Studies whose exam may fail: the trouble is in themselves."""
    node: RunningNode | None = None

    def __enter__(self) -> Self:
        self.stack = ExitStack()
        self.ports = Ports()
        self.stack.callback(self.ports.give_back)
        self.site = Site(
            self.root,
            port=self.ports.take(),
            web_port=self.ports.take(),
            pacs_port=self.ports.take(),
            command=self.command,
            environment={
                "PYTHONPATH": f"{TESTS}:{TESTS / 'service'}",
                "STAND_IN_MARKER": str(self.root / "marker-"),
                "CLOCK_OFFSET": str(self.root / "clock-offset"),
                "THREADS": str(self.root / "threads"),
            },
        )
        self.stack.callback(self.end_node)
        self.site.write_settings(min_free_gib=0.0)
        self.scanner = Scanner(self.site.port)
        self.pacs = self.stack.enter_context(Pacs(self.site.pacs_port))
        self.books = Books(self.site.data_dir)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stack.close()

    def start(self, **environment: str) -> RunningNode:
        """A node in a process group of its own, that may not be ready yet."""
        self.node = self.site.start_node(**environment)
        return self.node

    def kill(self) -> None:
        """End the node and all its processes as a power cut would."""
        assert self.node is not None
        self.node.kill_group()
        self.node = None

    def send(self, count: int = 1, comment: str = "") -> Study:
        """Send a new study."""
        one = study(count, comment)
        self.scanner.send(one)
        return one

    def send_rest(self) -> None:
        """Send again, as a scanner does, until all is acknowledged."""

        def all_there() -> bool:
            self.scanner.send_all(self.scanner.owes())
            return not self.scanner.owes()

        wait_until("every clip is acknowledged", all_there)

    def marker(self, name: str) -> Path:
        return self.root / f"marker-{name}"

    def wait_for(self, what: str, condition: Callable[[], Any]) -> Any:
        return wait_until(what, condition)

    def fault(self, figure: Figure, what: str) -> None:
        self.faults.append(Fault(figure, what))

    def settle(self, *, since: float | None = None) -> None:
        """Give the node its time, counted from when the cause had gone; what is not final then
        is a fault, by name."""
        begun = time.monotonic() if since is None else since
        unfinished: list[str] = ["nothing was read"]
        while time.monotonic() < begun + self.limits.final_s:
            with suppress(Exception):
                unfinished = self._unfinished()
                if not unfinished:
                    break
            time.sleep(0.1)
        took_s = time.monotonic() - begun
        self.measured["settled after s"] = max(took_s, self.measured.get("settled after s", 0.0))
        for row in unfinished:
            self.fault(Figure.STUCK, row)

    def verdict(self) -> Outcome:
        """Judge what was acknowledged against what is held."""
        self._still_alive()
        if self.ledger_judged:
            self.faults += lost(self.books, self.scanner)
            self.faults += given_up(self.books, self.guilty)
            self.faults += doubled(self.books, self.pacs.held)
        if self.studies_judged:
            for one in self.scanner.studies.values():
                if one.uid not in self.guilty:
                    self.faults += missing(self.pacs.held, one)
        self.did["acknowledged"] += len(self.scanner.acknowledged)
        self.did["results"] += len(self.pacs.held)
        return Outcome(did=self.did, measured=self.measured, faults=tuple(self.faults))

    def _unfinished(self) -> list[str]:
        known = {study_uid for _, study_uid, _, _ in self.books.exams()}
        sent = {clip.study_uid for clip in self.scanner.acknowledged.values()}
        return [*(f"no exam of study {uid}" for uid in sent - known), *self.books.unfinished()]

    def _still_alive(self) -> None:
        if self.node is not None and (status := self.node.process.poll()) is not None:
            self.fault(Figure.CRASHED, f"the node ended by itself with {status}: {self.log_end()}")

    def log_end(self) -> str:
        assert self.node is not None
        return self.node.log.read_text()[-600:]

    def end_node(self) -> None:
        for process in self.site.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
