"""Whatever fails or stalls, every row comes to its end by itself once the cause has gone.

A machine of Hypothesis receives, analyses and delivers with the real ledger, spool, intake, jobs
and reconciler, on SQLite and on PostgreSQL. Each call into ledger, spool, engine, worker or peer
may fail, do its work and fail all the same, or stall; the process may be killed wherever a call
stalls; clocks are set; a person decides. Only the engine's threads and the network are stand-ins.
"""

import contextlib
import itertools
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.deliver.transport import Answer, Delivered
from dicomnode.errors import Reason, StoreError, TransitionError
from dicomnode.jobs.analyse import Analysis
from dicomnode.jobs.deliver import Delivery
from dicomnode.jobs.options import DeliveryOptions
from dicomnode.jobs.reconcile import ANALYSE, DELIVER, Reconciler, Running
from dicomnode.jobs.workers import WorkError
from dicomnode.network.receive import OpenAssociation, Received
from dicomnode.outputs.request import Outcome, OutputFile, Request
from dicomnode.service.intake import Intake
from dicomnode.store.ledger import Ledger
from dicomnode.store.schema import alembic_version, metadata, schema_version
from dicomnode.store.spool import Spool, dataset_sha256
from dicomnode.store.states import UNDELIVERED, UNFINISHED, DeliveryState, ExamState
from parts.faults import Fault, Faults, Killed
from parts.records import ANALYSED

MINUTE_S = 60
QUIET_S = 5.0
LONGEST_RETRY_S = 20.0
YEAR_S = 365 * 86_400.0
DESTINATIONS = ("pacs", "research")
KINDS = ("sr", "seg")
SYNTAX, CLASS = str(ExplicitVRLittleEndian), "1.2.840.10008.5.1.4.1.1.7"

CAUSES: dict[str, Callable[[], Exception]] = {
    "ledger": lambda: StoreError("the ledger did not take a transaction: database is locked"),
    "spool": lambda: StoreError("could not keep a file in the spool: No space left on device"),
    "engine": lambda: OSError("database is locked"),
    "worker": lambda: StoreError("expected a result, got OSError: No space left on device"),
    "peer": lambda: OSError("network is down"),
}
"""What may fail, and how it does."""
CALLS = {
    "ledger": (
        "association_opened", "association_closed", "record_instance", "open_associations",
        "clock_was_set", "start_quiet_times", "due_studies", "queue", "exams", "exam", "begin",
        "instances_for", "split", "outputs", "finish", "refuse", "fail", "wait", "sending",
        "give_back", "due_deliveries", "claim", "sent", "retry_later",
    ),
    "spool": ("keep", "verified", "workspace", "publish"),
    "engine": ("submit",),
    "worker": ("run",),
    "peer": ("deliver",),
}  # fmt: skip
"""Every call that what happens in :meth:`Node.everything` makes."""
AFTER = {"ledger.give_back": "ledger.sent", "ledger.wait": "spool.publish"}
"""Calls that are made only where another one failed."""
TWO_INJECTIONS, REFUSED, BROKEN = "1.2.2", "1.2.3", "1.2.4"
STUDIES = ("1.2.1", TWO_INJECTIONS, REFUSED, BROKEN)
GIVEN_UP = ["given-up"]
ALLOWED = {
    "1.2.1": [GIVEN_UP],
    TWO_INJECTIONS: [GIVEN_UP],
    REFUSED: [GIVEN_UP, ["no-bolus"]],
    BROKEN: [GIVEN_UP, ["analysis-error"]],
}
"""Reasons for which an exam may have no result."""


def write(path: Path, sop_instance_uid: str, study_uid: str, comment: str) -> Path:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CLASS, sop_instance_uid
    ds.StudyInstanceUID, ds.ImageComments = study_uid, comment
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


_MADE = itertools.count()


def process(paths: Sequence[Path], directory: Path, request: Request) -> tuple[Outcome, ...]:
    """Two objects whose UIDs follow from the sources, and whose bytes are new every time."""
    study = str(dcmread(paths[0]).StudyInstanceUID)
    if study == BROKEN:
        raise WorkError("analysis-error", "expected a result, got KeyError")
    if study == REFUSED:
        no_bolus = Reason("no-bolus", "expected a bolus, found none")
        return (Outcome.refused(1, [no_bolus]),)
    injections = 2 if study == TWO_INJECTIONS else 1
    seed = sum(int(path.name.split("-")[0].replace(".", "")[-6:]) for path in paths) + len(paths)
    return tuple(_outcome(study, number, seed, directory) for number in range(1, injections + 1))


def _outcome(study: str, number: int, seed: int, directory: Path) -> Outcome:
    outputs = []
    for kind in KINDS:
        uid = f"{study}.9.{seed}.{number}.{KINDS.index(kind) + 1}"
        path = directory / str(number) / f"{kind}.dcm"
        write(path, uid, study, f"made {next(_MADE)}")
        outputs.append(
            OutputFile(kind=kind, path=path, sop_class_uid=CLASS, sop_instance_uid=uid,
                       transfer_syntax_uid=SYNTAX)
        )  # fmt: skip
    return Outcome(injection=number, outputs=tuple(outputs), record=ANALYSED)


class Threads:
    """The engine's part that matters here: jobs in threads, and which of them run."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.jobs: dict[str, Callable[..., None]] = {}
        self._active: dict[str, tuple[Any, ...]] = {}
        self._lock = threading.Lock()
        self.broken: list[BaseException] = []

    @property
    def active(self) -> dict[str, tuple[Any, ...]]:
        with self._lock:
            return dict(self._active)

    def submit(self, kind: str, name: str, *args: Any) -> None:
        if name in self.active:
            return
        self.faults.meet("engine.submit", lambda: None)
        begun = threading.Event()
        with self._lock:
            self._active[name] = args
        threading.Thread(target=self._run, args=(begun, kind, name, args), daemon=True).start()
        begun.wait(60)

    def _run(self, begun: threading.Event, kind: str, name: str, args: tuple[Any, ...]) -> None:
        with self.faults.work():
            begun.set()
            try:
                self.jobs[kind](self._step, name, *args)
            except (Exception, Killed):
                pass
            except BaseException as error:
                self.broken.append(error)
            finally:
                with self._lock:
                    self._active.pop(name, None)

    def _step(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)


class Node(RuleBasedStateMachine):
    """One node, its senders, its peers and the person who looks after it."""

    new_ledger: Callable[[], Ledger]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="dicomnode-rows-"))
        self.now_s, self.steady_s = 1e9, 100.0
        self.faults = Faults()
        self.real = self.new_ledger()
        self.spool = Spool(self.folder / "spool")
        self.acknowledged: dict[str, str] = {}
        self.received: dict[str, dict[str, set[str]]] = {name: {} for name in DESTINATIONS}
        self.away: set[str] = set()
        self.open: dict[str, OpenAssociation] = {}
        self.clips = itertools.count(1)
        self._begin_life()

    def _begin_life(self) -> None:
        """What a start of the process makes: everything but ledger and spool is new."""
        self.real.recover(now=self.now_s)
        self.ledger = self.faults.on("ledger", self.real)
        spool = self.faults.on("spool", self.spool)
        self.engine = Threads(self.faults)
        self.intake = Intake(self.ledger, spool, now=lambda: self.now_s)
        self.engine.jobs = {
            ANALYSE: Analysis(
                ledger=self.ledger,
                spool=spool,
                workers=SimpleNamespace(run=self._work),
                process=process,
                request=Request(models_dir=Path("models")),
                policy="first",
                destinations=dict.fromkeys(DESTINATIONS, KINDS),
                refusal_destinations={},
                now=lambda: self.now_s,
            ),
            DELIVER: Delivery(
                ledger=self.ledger,
                spool=spool,
                destinations={
                    name: SimpleNamespace(deliver=partial(self._deliver, name))
                    for name in DESTINATIONS
                },
                options=DeliveryOptions(
                    first_retry_s=2.0, longest_retry_s=LONGEST_RETRY_S, attempts=10_000
                ),
                now=lambda: self.now_s,
            ),
        }
        self.reconciler = Reconciler(
            self.ledger,
            self.engine,
            Running(open_associations=lambda: set(self.open), abandon=lambda name: None),
            quiet_s=QUIET_S,
            workers=2,
            longest_retry_s=LONGEST_RETRY_S,
            now=lambda: self.now_s,
            monotonic=lambda: self.steady_s,
        )

    def _work(self, function: Any, *args: Any, key: str) -> Any:
        return self.faults.meet("worker.run", lambda: function(*args))

    def _deliver(self, name: str, paths: Sequence[Path]) -> Delivered:
        return self.faults.meet(
            "peer.deliver",
            lambda: Delivered(answers=tuple(self._take(path, name) for path in paths)),
        )

    def _take(self, path: Path, name: str) -> Answer:
        if name in self.away:
            return Answer(path=path, verdict="later", reason="-")
        uid = str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        self.received[name].setdefault(uid, set()).add(dataset_sha256(path))
        return Answer(path=path, verdict="delivered")

    @rule(
        where=st.sampled_from(sorted(CAUSES)),
        mode=st.sampled_from(["fails", "fails after", "stalls"]),
        after=st.integers(0, 12),
    )
    def plan_a_fault(self, where: str, mode: Any, after: int) -> None:
        self.faults.planned.append(Fault(where, mode, CAUSES[where], after))

    @rule(where=st.sampled_from(["ledger", "spool", "engine"]))
    def something_goes_down_or_comes_back(self, where: str) -> None:
        if self.faults.down.pop(where, None) is None:
            self.faults.down[where] = CAUSES[where]

    @rule(study=st.sampled_from(STUDIES), hangs_up=st.booleans())
    def receive(self, study: str, hangs_up: bool) -> None:
        """An association with one clip; perhaps it stays open."""
        number = next(self.clips)
        association = OpenAssociation(id=f"a{number}", calling_ae="SCANNER", host="127.0.0.1")
        self.open[association.id] = association
        try:
            self.intake.opened(association)
        except StoreError:
            del self.open[association.id]  # aborted; nothing was sent
            return
        uid = f"{study}.7.{number}"
        path = write(self.spool.incoming / f"{number}.dcm", uid, study, "clip")
        sha256 = dataset_sha256(path)
        header = SimpleNamespace(
            sop_class_uid=CLASS, sop_instance_uid=uid, study_uid=study,
            series_uid=f"{study}.8", transfer_syntax_uid=SYNTAX,
        )  # fmt: skip
        try:
            self.intake.store(Received(path=path, header=header, association=association))
        except StoreError:
            pass
        else:
            self.acknowledged[uid] = sha256
        if hangs_up:
            self._hang_up(association)

    @precondition(lambda self: self.open)
    @rule()
    def a_sender_hangs_up(self) -> None:
        self._hang_up(next(iter(self.open.values())))

    def _hang_up(self, association: OpenAssociation) -> None:
        with contextlib.suppress(StoreError):
            self.intake.closed(association)
        del self.open[association.id]

    @rule(seconds=st.sampled_from([0.0, 1.0, QUIET_S + 1, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        self.now_s += seconds
        self.steady_s += seconds
        self.reconciler.tick()
        self.faults.wait_for_work()

    @rule(seconds=st.sampled_from([-YEAR_S, -3600.0, 3600.0, YEAR_S]))
    def the_clock_is_set(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def what_stalls_goes_on(self) -> None:
        self.faults.go_on()

    @rule()
    def the_process_is_killed(self) -> None:
        self.faults.kill()
        self.open.clear()
        self._begin_life()

    @rule(name=st.sampled_from(DESTINATIONS))
    def a_peer_goes_away_or_comes_back(self, name: str) -> None:
        self.away ^= {name}

    @rule(
        decision=st.sampled_from(["retry", "give_up", "resend", "give_up_deliveries", "reanalyse"]),
        which=st.integers(0, 20),
    )
    def a_person_decides(self, decision: str, which: int) -> None:
        exams = self.real.exams()
        if exams:
            with contextlib.suppress(TransitionError):
                getattr(self.real, decision)(exams[which % len(exams)].id, now=self.now_s)

    @invariant()
    def what_was_acknowledged_is_recorded_and_kept(self) -> None:
        if self.engine.broken:
            raise self.engine.broken[0]
        kept: dict[str, str] = {}
        for exam in self.real.exams():
            for row in self.real.variants_of(exam):
                kept[row.sop_instance_uid] = row.sha256
                if row.sop_instance_uid in self.acknowledged:
                    assert self.spool.absolute(row.path).exists()
        assert self.acknowledged.items() <= kept.items()

    def teardown(self) -> None:
        """The causes go; within a minute nothing is left that has no end."""
        try:
            self._check_that_all_ends()
        finally:
            self.faults.kill()
            self.real.close()
            shutil.rmtree(self.folder)

    def everything(self) -> None:
        """Receive what ends in each way, with a peer that is away at first."""
        self._pass(1.0)
        self.away.add(DESTINATIONS[0])
        self.the_clock_is_set(3600.0)
        self._pass(1.0)
        for study in STUDIES:
            self.receive(study, hangs_up=True)
        for _ in range(3):
            self._pass(QUIET_S + 1)
        self.away.clear()
        self._pass(LONGEST_RETRY_S)

    def _check_that_all_ends(self) -> None:
        self.faults.planned.clear()
        self.faults.down.clear()
        self.faults.go_on()
        self.away.clear()
        for association in list(self.open.values()):
            self._hang_up(association)
        left = self._unfinished()
        for _ in range(MINUTE_S):
            self._pass(1.0)
            if not self._unfinished():
                break
        assert not left & self._unfinished(), (left & self._unfinished(), self.faults.met)
        for _ in range(2 * MINUTE_S):  # what those became: results on their way
            if not self._unfinished():
                break
            self._pass(1.0)
        assert not self._unfinished(), (self._unfinished(), self.faults.met)
        self._check_results()

    def _unfinished(self) -> set[str]:
        exams = self.real.exams()
        rows = {f"exam {exam.id} {exam.state}" for exam in exams if exam.state in UNFINISHED}
        rows |= {
            f"delivery {row.id} {row.state}"
            for exam in exams
            for row in self.real.deliveries(exam.id)
            if row.state in UNDELIVERED
        }
        return rows | {f"association {number}" for number in self.real.open_associations()}

    def _check_results(self) -> None:
        """No exam was given up but by a person; each result arrived, as the one it is."""
        for exam in self.real.exams():
            codes = [reason.code for reason in exam.reasons]
            if exam.state is not ExamState.ANALYSED:
                assert codes in ALLOWED[exam.study_uid], exam
                continue
            outputs = self.real.outputs(exam.id)
            assert sorted(output.kind for output in outputs) == sorted(KINDS)
            for row in self.real.deliveries(exam.id):
                if row.state is not DeliveryState.GIVEN_UP:
                    assert row.state is DeliveryState.SENT
                    arrived = self.received[row.destination][row.output.sop_instance_uid]
                    assert arrived == {row.output.sha256}


class Ledgers:
    """Makes empty ledgers of one kind."""

    def __init__(self, kind: str, folder: Path, postgres: Callable[[], Any]) -> None:
        self._numbers = itertools.count()
        self._folder = folder
        self._url = postgres().new_database() if kind == "postgresql" else None

    def __call__(self) -> Ledger:
        if self._url is None:
            return Ledger(f"sqlite:///{self._folder}/ledger{next(self._numbers)}.sqlite")
        ledger = Ledger(self._url)
        with ledger._writing() as connection:
            for table in reversed(metadata.sorted_tables):
                if table not in (alembic_version, schema_version):
                    connection.execute(table.delete())
        return ledger


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Thousands of failures that are meant would be told at length."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture(params=["sqlite", "postgresql"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> type[Node]:
    folder = tmp_path_factory.mktemp("ledgers")
    new_ledger = Ledgers(request.param, folder, lambda: request.getfixturevalue("postgres"))
    return type("NodeOnThisLedger", (Node,), {"new_ledger": staticmethod(new_ledger)})


@pytest.mark.parametrize("mode", ["fails", "fails after", "stalls", "is killed in"])
def test_each_call_in_turn(machine: type[Node], mode: str) -> None:
    for where, calls in CALLS.items():
        for call in (f"{where}.{name}" for name in calls):
            node = machine()
            first = AFTER.get(call)
            planned: Any = "stalls" if mode == "is killed in" else mode
            if first is not None:
                node.faults.planned.append(Fault(first, "fails", CAUSES[first.partition(".")[0]]))
            node.faults.planned.append(Fault(call, planned, CAUSES[where]))
            node.everything()
            assert any(met.startswith(call) for met in node.faults.met), f"{call} is never made"
            if mode == "is killed in":
                node.the_process_is_killed()
            node.what_was_acknowledged_is_recorded_and_kept()
            node.teardown()


def test_whatever_happens(machine: type[Node]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
            print_blob=True,
        ),
    )
