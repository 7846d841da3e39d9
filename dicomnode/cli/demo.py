"""``dicomnode demo``: the main job, seen from outside: a scanner, the node, a PACS."""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.table import Table

from dicomnode.cli.answer import notice_of, show_answer
from dicomnode.cli.pacs import Item, StandInPacs
from dicomnode.cli.present import busy, console, counted, plain
from dicomnode.cli.simulate import write_exam
from dicomnode.errors import DicomnodeError
from dicomnode.kinds import BY_DEFAULT, with_them
from dicomnode.log import LogOptions, configure
from dicomnode.network.peers import Peer
from dicomnode.network.send import send
from dicomnode.record.schema import Record
from dicomnode.simulation.cohort import recipe_for
from dicomnode.simulation.recipe import Kind
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow
from dicomnode.store.states import ExamState
from dicomnode.store.url import sqlite_url
from dicomnode.web.picture import png

__all__ = ["demo"]

SEEDS: Mapping[Kind, int] = {"malignant": 7_000_001, "benign": 7_000_002}
"""Simulated patients of the demo, outside every training and evaluation cohort."""
EXPECTED = frozenset(with_them(BY_DEFAULT))
PATIENCE_S = 240.0
SETTINGS = """\
[node]
ae_title = "CEUSNODE"
port = {port}
data_dir = "{data_dir}"

[[accept]]
ae_title = "SCANNER1"
hosts = ["127.0.0.1"]

[[destination]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs_port}

[settle]
quiet_s = 3

[web]
port = {web_port}

[retention]
min_free_gib = 0.5
"""


@dataclass(frozen=True, kw_only=True)
class _Site:
    """Everything of one demonstration, on free ports of the loopback interface."""

    directory: Path
    port: int
    web_port: int
    pacs: StandInPacs

    @property
    def settings(self) -> Path:
        return self.directory / "node.toml"

    @property
    def data_dir(self) -> Path:
        return self.directory / "node"

    @property
    def node(self) -> Peer:
        return Peer(name="node", ae_title="CEUSNODE", host="127.0.0.1", port=self.port)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextmanager
def _running_node(site: _Site) -> Iterator[None]:
    """A node as a process of its own, as systemd would run it; its log lies beside its data."""
    site.settings.write_text(
        SETTINGS.format(
            port=site.port,
            data_dir=site.data_dir,
            pacs_port=site.pacs.port,
            web_port=site.web_port,
        )
    )
    command = [sys.executable, "-m", "dicomnode.cli", "serve", "-c", str(site.settings)]
    with (site.directory / "node.log").open("w") as log:
        node = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - ours
        try:
            _wait_until_ready(site, node)
            yield
        finally:
            node.send_signal(signal.SIGTERM)
            try:
                node.wait(30)
            except subprocess.TimeoutExpired:
                node.kill()


def _wait_until_ready(site: _Site, node: subprocess.Popen[bytes]) -> None:
    url = f"http://127.0.0.1:{site.web_port}/health/ready"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if node.poll() is not None:
                break
            time.sleep(0.3)
    raise DicomnodeError(f"the node did not start; its log is {site.directory / 'node.log'}")


def _simulated(kind: Kind, directory: Path) -> list[Path]:
    with busy(f"simulating a {kind} exam"):
        return write_exam(recipe_for(kind, SEEDS[kind]), directory)


def _forward(site: _Site, paths: list[Path]) -> None:
    answers = send(paths, site.node, calling_ae="SCANNER1")
    refused = [answer.reason for answer in answers if answer.verdict != "delivered"]
    if refused:
        raise DicomnodeError(f"the node refused what the scanner sent: {'; '.join(refused)}")


def _wait_for_results(site: _Site, study_uid: str) -> ExamRow:
    """Wait until the exam is settled and everything it gave has reached the PACS."""
    ledger = Ledger(sqlite_url(site.data_dir / "ledger.sqlite"))
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            exam = next(iter(ledger.exams(study_uid=study_uid)), None)
            if exam is not None and exam.state in (ExamState.FAILED, ExamState.REFUSED):
                return exam
            if exam is not None and set(site.pacs.kinds(study_uid)) >= EXPECTED:
                return ledger.exam(exam.id)
            time.sleep(0.3)
    finally:
        ledger.close()
    raise DicomnodeError(
        f"no results after {PATIENCE_S:.0f} s; the node's log is {site.directory / 'node.log'}"
    )


def _came_back(site: _Site, studies: Mapping[Kind, str]) -> Table:
    table = Table(
        title="What came back to the PACS", box=None, header_style="bold", title_justify="left"
    )
    for title in ("exam", "object", "series", "size"):
        table.add_column(title, justify="right" if title == "size" else "left")
    for kind, study_uid in studies.items():
        for item in site.pacs.results(study_uid):
            size = f"{item.size_bytes / 1e3:,.0f} kB"
            table.add_row(kind, item.kind, plain(item.description), size)
    return table


def _show(site: _Site, studies: Mapping[Kind, str], exams: Mapping[Kind, ExamRow]) -> None:
    """Show what the PACS holds, and the record of what was found."""
    out = console()
    out.print()
    out.print(_came_back(site, studies))
    pages, notices = [], set()
    for kind, exam in exams.items():
        out.print(f"\n[bold underline]simulated {kind} exam[/]", highlight=False)
        held = {item.kind: item for item in site.pacs.results(studies[kind])}
        if exam.state is not ExamState.ANALYSED:
            out.print(f"{exam.state}: {plain('; '.join(reason.text for reason in exam.reasons))}")
            continue
        record = _record(site, exam)
        show_answer(out, record)
        notices.add(notice_of(record))
        pages.append(_page(site, kind, held["report"]))
    out.print(*(f"\n[dim]{plain(notice)}[/]" for notice in sorted(notices)), highlight=False)
    out.print("\n[bold]Report pages[/], as a radiologist sees them:")
    for path in pages:
        out.print(f"  {path}", highlight=False, soft_wrap=True)


def _record(site: _Site, exam: ExamRow) -> Record:
    """Read what was found from the ledger, where it was written with what the PACS got."""
    ledger = Ledger(f"sqlite:///{site.data_dir}/ledger.sqlite")
    try:
        record = ledger.record(exam.id)
    finally:
        ledger.close()
    assert record is not None, "the exam was analysed"
    return record


def _page(site: _Site, kind: Kind, report: Item) -> Path:
    path = site.directory / f"report-{kind}.png"
    path.write_bytes(png(report.path))
    return path


def _show_next(site: _Site) -> None:
    """Say what to type next, so that it can be copied."""
    called = Path(sys.argv[0])
    python = f"{sys.executable} -m dicomnode.cli"
    program = (
        python if called.name == "__main__.py" else f"{Path(sys.executable).parent / called.name}"
    )
    out = console()
    out.print("\n[bold]Next[/]: everything about the first exam, and the same on files of your own")
    for arguments in (
        f"exams show 1 -c {site.settings}",
        f"analyse {site.directory / 'scanner' / 'malignant'} -o results",
    ):
        out.print(f"  {program} {arguments}", highlight=False, soft_wrap=True)


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep everything in this folder; a folder under the system's temporary one by default.",
)
def demo(keep: Path | None) -> None:
    """Send two simulated exams through a node to a stand-in PACS and show what comes back.

    Everything runs on free ports of this machine only. Nothing simulated says anything about
    patients.
    """
    configure(LogOptions(level="warning", format="console"))
    directory = (keep or Path(tempfile.mkdtemp(prefix="dicomnode-demo-"))).absolute()
    for old in ("node", "pacs", "scanner"):
        shutil.rmtree(directory / old, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    out = console()
    port, web_port = _free_ports(2)
    with StandInPacs(directory / "pacs") as pacs:
        site = _Site(directory=directory, port=port, web_port=web_port, pacs=pacs)
        paths = {kind: _simulated(kind, directory / "scanner" / kind) for kind in SEEDS}
        studies = {kind: pacs.study_of(files[0]) for kind, files in paths.items()}
        with _running_node(site):
            out.print(f"node CEUSNODE on port {port}, page http://127.0.0.1:{web_port}/")
            for kind, files in paths.items():
                _forward(site, files)
                out.print(f"scanner: {kind} exam forwarded, {counted(len(files), 'clip')}")
            exams = {}
            for kind, study_uid in studies.items():
                with busy(f"node: waiting for the end of the {kind} study, then analysing"):
                    exams[kind] = _wait_for_results(site, study_uid)
        _show(site, studies, exams)
    _show_next(site)
    if any(exam.state is not ExamState.ANALYSED for exam in exams.values()):
        raise DicomnodeError("not every exam of the demo was analysed")
