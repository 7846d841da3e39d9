"""The durable engine (DBOS Transact): a job's finished steps are not repeated after a crash.

Nothing else imports it. It holds no truth: the ledger says what is to be done, and every step
may be repeated. Configured to keep to itself: no telemetry, no control plane, no port.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog
from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID

from dicomnode.jobs.step import Job

__all__ = ["Engine"]

log = structlog.get_logger(__name__)

_R = TypeVar("_R")
_RUNNING = frozenset({"PENDING", "ENQUEUED", "DELAYED"})
_OVER = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_RECOVERIES = 10  # a job that takes the whole node down with it is given up
_PURGE_AT_ONCE = 1000
_POLL_S = 0.1


class Engine:
    """Runs jobs in threads. One engine per process, because DBOS has one instance.

    Parameters
    ----------
    url : str
        SQLAlchemy URL of the engine's own tables.
    version : str
        Jobs of another version are not continued; the ledger has them started anew.
    executor : str
        Stable and unique: the jobs that a process of this name left are continued at start.
    on_finished : callable
        Called after each job, from its thread.
    """

    def __init__(
        self, *, url: str, version: str, executor: str, on_finished: Callable[[], None]
    ) -> None:
        self._config: DBOSConfig = {
            "name": "dicomnode",
            "system_database_url": url,
            "application_version": version,
            "executor_id": executor,
            "serializer": _Json(),
            "enable_otlp": False,
            "log_level": "WARNING",
        }
        self._version = version
        self._on_finished = on_finished
        self._active: set[str] = set()
        self._lock = threading.Lock()
        self._workflows: dict[str, Callable[..., None]] = {}

    def start(self, jobs: Mapping[str, Job]) -> None:
        """Open the tables and continue what was left."""
        logging.getLogger("dbos").addHandler(logging.NullHandler())  # else it adds a console's
        DBOS(config=self._config)
        for kind, job in jobs.items():
            workflow = DBOS.workflow(name=kind, max_recovery_attempts=_RECOVERIES)
            self._workflows[kind] = workflow(self._tracked(job))
        DBOS.launch()

    def drain(self, *, patience_s: float) -> bool:
        """Wait a while for running jobs to end; whether they did."""
        give_up_at = time.monotonic() + patience_s
        while self.active and time.monotonic() < give_up_at:
            time.sleep(_POLL_S)
        return not self.active

    def stop(self) -> None:
        """Let go of what still runs; it continues at the next start."""
        DBOS.destroy(destroy_registry=True)

    @property
    def active(self) -> frozenset[str]:
        """Names of the jobs that run in this process."""
        with self._lock:
            return frozenset(self._active)

    def submit(self, kind: str, name: str, *args: Any) -> bool:
        """Start a job unless it runs already. False when a job of this name is over."""
        if name in self.active:
            return True
        workflow_id = f"{self._version}/{name}"
        known = DBOS.get_workflow_status(workflow_id)
        if known is not None:
            return known.status in _RUNNING
        with self._lock:
            self._active.add(name)
        with SetWorkflowID(workflow_id):
            DBOS.start_workflow(self._workflows[kind], name, *args)
        return True

    def purge(self, *, before: float) -> int:
        """Forget jobs that were over before a moment (epoch seconds); returns how many."""
        old = DBOS.list_workflows(
            status=_OVER, completed_before=_iso(before), limit=_PURGE_AT_ONCE, load_input=False
        )
        if old:
            DBOS.delete_workflows([workflow.workflow_id for workflow in old])
        return len(old)

    def _tracked(self, job: Job) -> Callable[..., None]:
        def run(name: str, *args: Any) -> None:
            with self._lock:
                self._active.add(name)
            try:
                with structlog.contextvars.bound_contextvars(job=name):
                    job(_step, name, *args)
            except Exception:
                log.exception("job.broken", job=name)
                raise
            finally:
                with self._lock:
                    self._active.discard(name)
                self._on_finished()

        return run


def _step(name: str, function: Callable[..., _R], *args: Any) -> _R:
    def logged() -> _R:
        log.info("step.started", step=name)
        result = function(*args)
        log.info("step.finished", step=name)
        return result

    return DBOS.run_step({"name": name}, logged)


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
