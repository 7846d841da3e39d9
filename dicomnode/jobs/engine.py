"""The durable engine (DBOS Transact): a job's finished steps are not repeated after a crash.

Nothing else imports it. It holds no truth: the ledger says what is to be done, and every step
may be repeated. Configured to keep to itself: no telemetry, no control plane, no port.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID
from dbos._dbos import _get_dbos_instance

from dicomnode.errors import StoreError
from dicomnode.jobs.step import Job
from dicomnode.store.database import POSTGRESQL_PATIENCE, named_errors, sqlite_of_writers

__all__ = ["Engine"]

log = structlog.get_logger(__name__)

_R = TypeVar("_R")
_UNFINISHED = ["PENDING", "ENQUEUED", "DELAYED"]
_OVER = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_PURGE_AT_ONCE = 1000
_POLL_S = 0.1
_MOST_THREADS = 32
_CONNECTIONS = 8
"""Writers of one file take turns anyway."""
_TO_BEGIN_S = 30.0
"""A run that has not begun by then never will: the engine lost it."""


@dataclass(frozen=True)
class _Run:
    """A run of a job that was asked for; ``deadline`` (monotonic seconds) until it has begun."""

    args: tuple[Any, ...]
    deadline: float | None


class Engine:
    """Runs jobs in threads. One engine per process, because DBOS has one instance.

    Nothing runs that was not submitted in this life of the process. A job that an earlier life
    left unfinished goes on after its last finished step when it is submitted again; any other
    submission is a new run. Whether a job is wanted is the caller's business.

    Parameters
    ----------
    url : str
        SQLAlchemy URL of the engine's own tables.
    version : str
        Runs that another version left are not continued but begun anew.
    on_finished : callable
        Called after each job, from its thread.
    at_once : int
        Jobs that may run at the same time. Their threads and connections are there from the
        start, so that what a node holds does not grow with its work.
    """

    def __init__(
        self, *, url: str, version: str, on_finished: Callable[[], None], at_once: int
    ) -> None:
        self._config: DBOSConfig = {
            "name": "dicomnode",
            "system_database_url": url,
            "application_version": version,
            "executor_id": uuid.uuid4().hex,  # of this life: nothing is continued unasked
            "serializer": _Json(),
            "enable_otlp": False,
            "log_level": "WARNING",
        }
        self._url = url
        if not url.startswith("sqlite"):
            self._config["db_engine_kwargs"] = {
                "connect_args": dict(POSTGRESQL_PATIENCE),
                "hide_parameters": True,  # the library logs what fails, results and all
            }
            self._config["sys_db_pool_size"] = _CONNECTIONS
        self._version = version
        self._on_finished = on_finished
        # While a run is still being written, the next one begins.
        self._threads = min(2 * at_once, _MOST_THREADS)
        self._runs: dict[str, _Run] = {}
        self._left: dict[str, str] = {}
        self._lock = threading.Lock()
        self._jobs: Mapping[str, Job] = {}
        self._workflows: dict[str, Callable[..., None]] = {}

    def start(self, jobs: Mapping[str, Job]) -> None:
        """Open the tables and look at what an earlier life left."""
        logging.getLogger("dbos").addHandler(logging.NullHandler())  # else it adds a console's
        if self._url.startswith("sqlite"):
            self._config["system_database_engine"] = sqlite_of_writers(self._url, _CONNECTIONS)
        DBOS(config=self._config)
        self._jobs = dict(jobs)
        for kind in jobs:
            workflow = DBOS.workflow(name=kind, max_recovery_attempts=None)
            self._workflows[kind] = workflow(self._tracked(kind))
        DBOS.launch()
        self._start_threads()
        left = DBOS.list_workflows(status=_UNFINISHED, app_version=self._version, load_input=False)
        self._left = {_job_of(run.workflow_id): run.workflow_id for run in left}

    def replace(self, jobs: Mapping[str, Job]) -> None:
        """Let jobs that begin from now on be these; one that runs ends as it began."""
        assert jobs.keys() == self._jobs.keys(), "the kinds are known when the engine starts"
        self._jobs = dict(jobs)

    def drain(self, *, patience_s: float) -> bool:
        """Wait a while for running jobs to end; whether they did."""
        give_up_at = time.monotonic() + patience_s
        while self.active and time.monotonic() < give_up_at:
            time.sleep(_POLL_S)
        return not self.active

    def stop(self) -> None:
        """Let go of what still runs; it continues at the next start."""
        DBOS.destroy(destroy_registry=True)
        if (connections := self._config.get("system_database_engine")) is not None:
            connections.dispose()

    @property
    def active(self) -> Mapping[str, tuple[Any, ...]]:
        """Jobs that run in this process, or are about to: name to arguments."""
        now = time.monotonic()
        with self._lock:
            return {
                name: run.args
                for name, run in self._runs.items()
                if run.deadline is None or now < run.deadline
            }

    def submit(self, kind: str, name: str, *args: Any) -> None:
        """Have a job done, unless it runs already."""
        if name in self.active:
            return
        with self._lock:
            self._runs[name] = _Run(args, time.monotonic() + _TO_BEGIN_S)
            left = self._left.pop(name, None)
        try:
            with named_errors("the engine's tables"):
                self._begin(self._workflows[kind], left, name, args)
        except Exception:
            self._forget(name)
            raise

    def _begin(
        self, workflow: Callable[..., None], left: str | None, name: str, args: tuple[Any, ...]
    ) -> None:
        if left is not None:
            DBOS.resume_workflow(left)
            return
        with SetWorkflowID(f"{self._version}/{name}/{uuid.uuid4().hex}"):
            DBOS.start_workflow(workflow, name, *args)

    def purge(self, *, before: float) -> int:
        """Forget runs that were over, or left and never asked for again; returns how many.

        Parameters
        ----------
        before : float
            Epoch seconds.
        """
        old = DBOS.list_workflows(
            status=_OVER, completed_before=_iso(before), limit=_PURGE_AT_ONCE, load_input=False
        )
        if self._left:
            unasked = list(self._left.values())
            old += DBOS.list_workflows(
                workflow_ids=unasked, end_time=_iso(before), load_input=False
            )
        if old:
            DBOS.delete_workflows([run.workflow_id for run in old])
            with self._lock:
                for run in old:
                    self._left.pop(_job_of(run.workflow_id), None)
        return len(old)

    def _start_threads(self) -> None:
        """Keep all threads busy at once: only then does the engine's pool start another."""
        together = threading.Barrier(self._threads + 1)

        def meet() -> None:
            with suppress(threading.BrokenBarrierError):
                together.wait(_TO_BEGIN_S)

        pool = _get_dbos_instance()._executor  # noqa: SLF001 - there is no other way to it
        for _ in range(self._threads):
            pool.submit(meet)
        meet()

    def _tracked(self, kind: str) -> Callable[..., None]:
        def run(name: str, *args: Any) -> None:
            with self._lock:
                known = self._runs.get(name)
                if known is not None and known.deadline is None:
                    return  # one that was thought lost, while another does its work
                self._runs[name] = _Run(args, None)
            try:
                with structlog.contextvars.bound_contextvars(job=name):
                    self._jobs[kind](_step, name, *args)
            except Exception:
                log.exception("job.broken", job=name)
                raise
            finally:
                self._forget(name)
                self._on_finished()

        return run

    def _forget(self, name: str) -> None:
        with self._lock:
            self._runs.pop(name, None)


def _job_of(workflow_id: str) -> str:
    """Name the job that a run is of: its identifier is version, name and a number of its own."""
    return workflow_id.split("/")[1]


def _step(name: str, function: Callable[..., _R], *args: Any) -> _R:
    """Run a step. What it raised is raised, but not kept: in another life it may end well."""
    raised: list[Exception] = []

    def logged() -> dict[str, Any]:
        log.info("step.started", step=name)
        try:
            result = function(*args)
        except Exception as error:
            raised.append(error)
            return {"raised": type(error).__name__}
        log.info("step.finished", step=name)
        return {"gave": result}

    try:
        with named_errors("the engine's tables"):
            answer = DBOS.run_step({"name": name}, logged)
    except StoreError as error:
        if raised:
            raise raised[0] from error
        raise
    if raised:
        raise raised[0]
    if "raised" in answer:
        raise StoreError(f"step {name} of an earlier life ended in {answer['raised']}")
    result: _R = answer["gave"]
    return result


def _iso(epoch_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_s))


class _Json(Serializer):
    """Plain JSON: what is stored cannot run code when it is read, and a person can read it."""

    def name(self) -> str:
        return "dicomnode_json"

    def serialize(self, data: Any) -> str:
        return json.dumps(data, separators=(",", ":"), sort_keys=True, default=_exception)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data, object_hook=_raised)


def _exception(value: Any) -> dict[str, str]:
    """Write an exception: one that cannot be written would leave its job running for ever."""
    if isinstance(value, BaseException):
        return {"__exception__": type(value).__name__}
    raise TypeError(f"expected plain JSON from a step, found {type(value).__name__}")


def _raised(value: dict[str, Any]) -> Any:
    return RuntimeError(value["__exception__"]) if "__exception__" in value else value
