"""The node: every part started in the order that loses nothing, and stopped in reverse."""

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from dicomnode.config import Settings
from dicomnode.errors import BundleError, DicomnodeError, StoreError
from dicomnode.jobs.analyse import Analysis, Process
from dicomnode.jobs.deliver import Delivery
from dicomnode.jobs.engine import Engine
from dicomnode.jobs.reconcile import ANALYSE, DELIVER, Reconciler, Running
from dicomnode.jobs.step import Job
from dicomnode.jobs.workers import WorkError, Workers
from dicomnode.log import configure
from dicomnode.named import Named
from dicomnode.network.receive import Receiver
from dicomnode.outputs.request import Request
from dicomnode.recipe import METHOD_VERSION
from dicomnode.record.schema import RECORD_SCHEMA
from dicomnode.service import parts
from dicomnode.service.health import Check, health_checks, signs_of_life
from dicomnode.service.housekeeping import Housekeeping
from dicomnode.service.intake import Intake
from dicomnode.service.notify import notify
from dicomnode.service.reload import merged, need_restart
from dicomnode.service.rounds import Rounds
from dicomnode.service.scrub import Scrub
from dicomnode.service.take_up import expect_ledger_of
from dicomnode.service.watchdog import watchdog
from dicomnode.store.ledger import Ledger
from dicomnode.store.lock import Lock, database_lock, directory_lock
from dicomnode.store.spool import Spool
from dicomnode.version import __version__
from dicomnode.web.app import make_app
from dicomnode.web.labels import secret_key
from dicomnode.web.server import Server

__all__ = ["MODELS_S", "STOP_GRACE_S", "Node"]

log = structlog.get_logger(__name__)

ANALYSE_FILES = Named("dicomnode.outputs.job:process")
STOP_GRACE_S = 10.0
"""What a stop may take beyond ``drain_s``."""
MODELS_S = 300.0
"""What a start may take for its models: importing what loads them is slow on a busy machine."""

_LOCK_EVERY_S = 5.0
_SCRUB_EVERY_S = 60.0  # asked whether it is due, and whether nothing else goes on


class Node:
    """A running node, from ``with`` to the end of its block.

    Parameters
    ----------
    settings : Settings
        Everything a site chose.
    process : callable
        Analyses the files of a study; called in a worker process, so importable there.
    models : callable
        Checks the bundles below a directory and names them; called in a worker process too,
        so that this one stays light.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        process: Process = ANALYSE_FILES,
        models: Callable[[Path], Sequence[str]] = parts.MODEL_NAMES,
    ) -> None:
        self.settings = settings
        self._process = process
        self._models = models
        self._stack = ExitStack()
        self._ready = threading.Event()
        self._reloading = threading.Lock()
        self._replace: Callable[[Settings], Callable[[], None]] | None = None
        self._give_up_at = 0.0
        self.ending = threading.Event()
        """Set when the node was asked to end, or could not start."""
        self.failure: DicomnodeError | None = None
        self.receiver: Receiver | None = None

    def __enter__(self) -> Self:
        try:
            with ExitStack() as stack:
                self._start(stack)
                self._stack = stack.pop_all()
        except BaseException:
            self.ending.set()
            raise
        self._ready.set()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.ending.set()
        drain_s = self.settings.node.drain_s
        notify("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round((drain_s + STOP_GRACE_S) * 1e6)}")
        log.info("node.stopping")
        self._give_up_at = time.monotonic() + drain_s
        self._stack.close()
        log.info("node.stopped")

    def stop(self) -> None:
        """Ask :meth:`wait` to return."""
        self.ending.set()

    def wait(self) -> None:
        """Return when the node is to end; raise why when nobody asked it to."""
        self.ending.wait()
        if self.failure is not None:
            raise self.failure

    def reload(self, load: Callable[[], Settings]) -> None:
        """Take over who may send, where results go and certificates; all of it, or nothing."""
        self._ready.wait()
        with self._reloading:
            notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                self._reload(load())
            except Exception:
                log.exception("settings.refused")
            notify("READY=1")

    def _reload(self, wanted: Settings) -> None:
        settings = merged(self.settings, wanted)
        assert self._replace is not None, "the node runs"
        put_in_force = self._replace(settings)
        put_in_force()
        if keys := need_restart(self.settings, wanted):
            log.warning("settings.need_restart", keys=keys)
        self.settings = settings
        log.info(
            "settings.reloaded",
            accept=[one.ae_title for one in settings.accept],
            destinations=[one.name for one in settings.destination],
        )

    def _start(self, stack: ExitStack) -> None:
        """Start what receives last, and what the rest stands on first."""
        settings = self.settings
        locks = (
            stack.enter_context(directory_lock(settings.node.data_dir)),
            stack.enter_context(database_lock(settings.ledger_url, settings.node.data_dir)),
        )
        stack.enter_context(
            Rounds("lock", functools.partial(self._keep, locks), every_s=_LOCK_EVERY_S)
        )
        spool = Spool(settings.node.data_dir / "spool")
        swept = spool.sweep()
        ledger = Ledger(settings.ledger_url)
        stack.callback(ledger.close)
        ledger.open_all()
        expect_ledger_of(spool, ledger)
        ledger.recover(now=time.time())
        workers = self._workers()
        models = self._check_models(workers)
        jobs = functools.partial(self._jobs, ledger, spool, workers)
        reconciler, engine = self._run_jobs(stack, ledger, workers, jobs(settings))
        housekeeping = Housekeeping(ledger, spool, engine, settings.retention)
        housekeeping.start()
        stack.callback(housekeeping.stop)
        receiver = self._receive(stack, ledger, spool)
        scrub = self._scrub(stack, ledger, spool, engine)
        self._replace = functools.partial(_replacement, engine=engine, receiver=receiver, jobs=jobs)
        checks = health_checks(settings, ledger, spool, reconciler=reconciler, models=models)
        self._show(stack, ledger, spool, checks, scrub)
        reconciler.start()
        stack.callback(reconciler.stop)
        stack.enter_context(watchdog(signs_of_life(settings, reconciler)))
        log.info(
            "node.ready",
            version=__version__,
            ae_title=settings.node.ae_title,
            host=settings.node.host,
            port=settings.node.port,
            models=models,
            swept=swept,
        )
        notify("READY=1")

    def _keep(self, locks: Sequence[Lock]) -> None:
        """End this node when another one has its directory or its database.

        As after a lost connection, or when the file of a lock was removed.
        """
        for lock in locks:
            try:
                lock.keep()
            except StoreError as error:
                log.warning("lock.unknown", reason=str(error))
            except DicomnodeError as error:
                log.critical("lock.lost", reason=str(error))
                self.failure = error
                self.ending.set()

    def _left_s(self) -> float:
        """How much of the patience at a stop is left, for associations and jobs together."""
        return max(0.0, self._give_up_at - time.monotonic())

    def _workers(self) -> Workers:
        workers = Workers(
            timeout_s=self.settings.node.analysis_timeout_s,
            memory_bytes=parts.worker_memory_bytes(self.settings.node),
            prepare=functools.partial(configure, self.settings.log),
        )
        workers.start()
        return workers

    def _check_models(self, workers: Workers) -> list[str]:
        try:
            directory = self.settings.models.directory
            return list(workers.run(self._models, directory, timeout_s=MODELS_S))
        except WorkError as error:
            raise BundleError(str(error), hint="") from error

    def _jobs(
        self, ledger: Ledger, spool: Spool, workers: Workers, settings: Settings
    ) -> dict[str, Job]:
        """Make the jobs as these settings want them."""
        analysis = Analysis(
            ledger=ledger,
            spool=spool,
            workers=workers,
            process=self._process,
            request=Request(
                models_dir=settings.models.directory,
                recipe=settings.recipe,
                station=settings.node.ae_title,
                options=parts.result_options(settings),
            ),
            policy=settings.settle.conflicting_instances,
            destinations=parts.wants(settings.destination),
            refusal_destinations=parts.wants([one for one in settings.destination if one.refusals]),
        )
        delivery = Delivery(
            ledger=ledger,
            spool=spool,
            destinations=parts.transports(settings, spool.work),
            options=settings.delivery,
        )
        return {ANALYSE: analysis, DELIVER: delivery}

    def _run_jobs(
        self, stack: ExitStack, ledger: Ledger, workers: Workers, jobs: Mapping[str, Job]
    ) -> tuple[Reconciler, Engine]:
        settings = self.settings
        engine = Engine(
            url=parts.jobs_url(settings),
            version=f"{METHOD_VERSION}.{RECORD_SCHEMA}",  # a step's outcome holds a record
            on_finished=lambda: reconciler.wake(),
            at_once=settings.node.workers + len(settings.destination),
        )
        reconciler = Reconciler(
            ledger,
            engine,
            Running(open_associations=self._open_associations, abandon=workers.cancel),
            quiet_s=settings.settle.quiet_s,
            workers=settings.node.workers,
            longest_retry_s=settings.delivery.longest_retry_s,
        )
        engine.start(jobs)
        stack.callback(engine.stop)
        stack.callback(workers.stop)
        stack.callback(lambda: engine.drain(patience_s=self._left_s()))
        return reconciler, engine

    def _open_associations(self) -> frozenset[str]:
        """Number the associations that are open; none before there is a receiver."""
        receiver = self.receiver
        return frozenset(one.id for one in receiver.open_associations) if receiver else frozenset()

    def _receive(self, stack: ExitStack, ledger: Ledger, spool: Spool) -> Receiver:
        intake = Intake(ledger, spool)
        receiver = self.receiver = Receiver(
            parts.receive_settings(self.settings, spool.incoming),
            on_store=intake.store,
            on_opened=intake.opened,
            on_closed=intake.closed,
            on_rejected=intake.rejected,
            on_commitment=intake.commitment,
        )
        receiver.start()
        stack.callback(lambda: receiver.stop(grace_s=self._left_s()))
        return receiver

    def _scrub(self, stack: ExitStack, ledger: Ledger, spool: Spool, engine: Engine) -> Scrub:
        scrub = Scrub(
            ledger,
            spool,
            retention_days=self.settings.retention.days,
            is_busy=lambda: bool(engine.active or self._open_associations()),
            ending=self.ending,
        )
        stack.enter_context(Rounds("scrub", scrub.round, every_s=_SCRUB_EVERY_S))
        return scrub

    def _show(
        self,
        stack: ExitStack,
        ledger: Ledger,
        spool: Spool,
        checks: Mapping[str, Check],
        scrub: Scrub,
    ) -> None:
        settings = self.settings
        if settings.web.enabled:
            key = secret_key(settings.node.data_dir)
            app = make_app(
                ledger=ledger,
                spool=spool,
                checks=checks,
                key=key,
                scrubbed=lambda: scrub.counts,
                names=settings.web.names,
            )
            stack.enter_context(Server(app, settings.web))


def _replacement(
    settings: Settings,
    *,
    engine: Engine,
    receiver: Receiver,
    jobs: Callable[[Settings], Mapping[str, Job]],
) -> Callable[[], None]:
    """Make everything that can fail; what is returned puts it in force and cannot."""
    wanted = jobs(settings)
    received = parts.receive_settings(settings, settings.node.data_dir)
    admit = receiver.prepare(received.accept, received.tls)

    def put_in_force() -> None:
        engine.replace(wanted)
        admit()

    return put_in_force
