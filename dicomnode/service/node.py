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

from dicomnode import __version__
from dicomnode.config import DestinationOptions, NodeOptions, Settings, TlsOptions
from dicomnode.errors import BundleError
from dicomnode.jobs.analyse import Analysis, Process
from dicomnode.jobs.deliver import Delivery, Destination
from dicomnode.jobs.engine import Engine
from dicomnode.jobs.memory import GIB, share_bytes
from dicomnode.jobs.reconcile import ANALYSE, DELIVER, Reconciler, Running
from dicomnode.jobs.workers import WorkError, Workers
from dicomnode.log import configure
from dicomnode.network.peers import Accepted, Peer
from dicomnode.network.receive import Receiver, ReceiveSettings
from dicomnode.network.tls import client_context, server_context
from dicomnode.outputs.form import EXTRAS, Form
from dicomnode.outputs.job import Request
from dicomnode.outputs.job import process as analyse_files
from dicomnode.pipeline import SCHEMA_VERSION
from dicomnode.service.bundles import model_names
from dicomnode.service.health import Check, health_checks
from dicomnode.service.housekeeping import Housekeeping
from dicomnode.service.intake import Intake
from dicomnode.service.lock import DirectoryLock
from dicomnode.service.notify import notify
from dicomnode.store.ledger import Ledger
from dicomnode.store.spool import Spool
from dicomnode.web.app import make_app
from dicomnode.web.labels import secret_key
from dicomnode.web.server import Server

__all__ = ["Node", "peer_of", "receive_settings"]

log = structlog.get_logger(__name__)


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
        process: Process = analyse_files,
        models: Callable[[Path], Sequence[str]] = model_names,
    ) -> None:
        self.settings = settings
        self._process = process
        self._models = models
        self._stack = ExitStack()
        self._stop = threading.Event()
        self.receiver: Receiver | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        notify("STOPPING=1")
        log.info("node.stopping")
        self._stack.close()
        log.info("node.stopped")

    def stop(self) -> None:
        """Ask :meth:`wait` to return; safe in a signal handler."""
        self._stop.set()

    def wait(self) -> None:
        """Return when somebody asked the node to stop."""
        while not self._stop.wait(1.0):
            pass

    def _start(self, stack: ExitStack) -> None:
        """Start what receives last, and what the rest stands on first."""
        settings = self.settings
        stack.enter_context(DirectoryLock(settings.node.data_dir))
        spool = Spool(settings.node.data_dir / "spool")
        swept = spool.sweep()
        ledger = Ledger(settings.ledger_url)
        stack.callback(ledger.close)
        ledger.recover(now=time.time())
        workers = self._workers()
        models = self._check_models(workers)
        reconciler, engine = self._jobs(stack, ledger, spool, workers)
        housekeeping = Housekeeping(ledger, spool, engine, settings.retention)
        housekeeping.start()
        stack.callback(housekeeping.stop)
        self._receive(stack, ledger, spool)
        checks = health_checks(settings, ledger, spool, reconciler=reconciler, models=models)
        self._show(stack, ledger, spool, checks)
        reconciler.start()
        stack.callback(reconciler.stop)
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

    def _workers(self) -> Workers:
        workers = Workers(
            timeout_s=self.settings.node.analysis_timeout_s,
            memory_bytes=_worker_memory_bytes(self.settings.node),
            prepare=functools.partial(configure, self.settings.log),
        )
        workers.start()
        return workers

    def _check_models(self, workers: Workers) -> list[str]:
        try:
            return list(workers.run(self._models, self.settings.models.directory))
        except WorkError as error:
            raise BundleError(str(error), hint="") from error

    def _jobs(
        self, stack: ExitStack, ledger: Ledger, spool: Spool, workers: Workers
    ) -> tuple[Reconciler, Engine]:
        settings = self.settings
        engine = Engine(
            url=_jobs_url(settings),
            version=SCHEMA_VERSION,
            on_finished=lambda: reconciler.wake(),
        )
        reconciler = Reconciler(
            ledger,
            engine,
            Running(open_associations=self._open_associations, abandon=workers.cancel),
            quiet_s=settings.settle.quiet_s,
            workers=settings.node.workers,
            longest_retry_s=settings.delivery.longest_retry_s,
        )
        analysis = Analysis(
            ledger=ledger,
            spool=spool,
            workers=workers,
            process=self._process,
            request=Request(
                models_dir=settings.models.directory,
                recipe=settings.recipe,
                station=settings.node.ae_title,
                form=_form(settings),
            ),
            policy=settings.settle.conflicting_instances,
            destinations=_wants(settings.destination),
            refusal_destinations=_wants([one for one in settings.destination if one.refusals]),
        )
        delivery = Delivery(
            ledger=ledger,
            spool=spool,
            destinations=_destinations(settings),
            calling_ae=settings.node.ae_title,
            options=settings.delivery,
        )
        engine.start({ANALYSE: analysis, DELIVER: delivery})
        stack.callback(engine.stop)
        stack.callback(workers.stop)
        stack.callback(engine.drain, patience_s=settings.node.drain_s)
        return reconciler, engine

    def _open_associations(self) -> frozenset[str]:
        """Number the associations that are open; none before there is a receiver."""
        receiver = self.receiver
        return frozenset(one.id for one in receiver.open_associations) if receiver else frozenset()

    def _receive(self, stack: ExitStack, ledger: Ledger, spool: Spool) -> None:
        intake = Intake(ledger, spool)
        self.receiver = Receiver(
            receive_settings(self.settings, spool.incoming),
            on_store=intake.store,
            on_opened=intake.opened,
            on_closed=intake.closed,
            on_rejected=intake.rejected,
            on_commitment=intake.commitment,
        )
        stack.enter_context(self.receiver)

    def _show(
        self, stack: ExitStack, ledger: Ledger, spool: Spool, checks: Mapping[str, Check]
    ) -> None:
        settings = self.settings
        if settings.web.enabled:
            key = secret_key(settings.node.data_dir)
            app = make_app(ledger=ledger, spool=spool, checks=checks, key=key)
            stack.enter_context(Server(app, settings.web))


def peer_of(destination: DestinationOptions, tls: TlsOptions) -> Peer:
    """Make the peer that a destination describes."""
    context = None
    if destination.tls:
        context = client_context(ca=tls.ca, certificate=tls.certificate, key=tls.key)
    return Peer(
        name=destination.name,
        ae_title=destination.ae_title,
        host=destination.host,
        port=destination.port,
        tls=context,
    )


def _destinations(settings: Settings) -> dict[str, Destination]:
    return {
        one.name: Destination(
            peer=peer_of(one, settings.tls),
            storage_commitment=one.storage_commitment,
            uncompressed=one.transfer_syntax == "uncompressed",
        )
        for one in settings.destination
    }


def _form(settings: Settings) -> Form:
    """Say what is to be made: the extras that some destination gets."""
    asked = {kind for one in settings.destination for kind in one.outputs}
    return Form(
        extras=frozenset(extra for extra in EXTRAS if extra in asked),
        seg_geometry=settings.outputs.seg_geometry,
    )


def _wants(destinations: Sequence[DestinationOptions]) -> dict[str, tuple[str, ...]]:
    """Say which kinds each wants; who wants the SEG wants that of the lesion with it."""
    return {
        one.name: (*one.outputs, *(("lesion",) if "seg" in one.outputs else ()))
        for one in destinations
    }


def receive_settings(settings: Settings, incoming: Path) -> ReceiveSettings:
    """Make the receiver's settings; certificates are loaded here."""
    node, tls = settings.node, settings.tls
    context = None
    if tls.receive and tls.certificate is not None and tls.key is not None:
        context = server_context(certificate=tls.certificate, key=tls.key, client_ca=tls.ca)
    return ReceiveSettings(
        ae_title=node.ae_title,
        host=node.host,
        port=node.port,
        incoming=incoming,
        accept=tuple(Accepted(ae_title=one.ae_title, hosts=one.hosts) for one in settings.accept),
        max_associations=node.max_associations,
        max_associations_per_host=node.max_associations_per_host,
        min_free_bytes=_min_free_bytes(settings),
        tls=context,
    )


def _worker_memory_bytes(node: NodeOptions) -> int:
    if node.worker_memory_gib is None:
        return share_bytes(node.workers)
    return int(node.worker_memory_gib * GIB)


def _min_free_bytes(settings: Settings) -> int:
    return int(settings.retention.min_free_gib * 2**30)


def _jobs_url(settings: Settings) -> str:
    """Keep the engine's tables beside the ledger: in its PostgreSQL, or in a file of their own."""
    url = settings.database.url
    if url is not None and url.startswith("postgresql"):
        return url
    return f"sqlite:///{settings.node.data_dir.absolute()}/jobs.sqlite"
