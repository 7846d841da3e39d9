"""Receiving: associations in, files on disk, and an answer only when the caller has kept them."""

import ssl
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    Verification,
)

from dicomnode.errors import SettingsError
from dicomnode.network.admission import Admission, AssociationRequest, plain_address
from dicomnode.network.commitment import CommitmentResult, answer_report
from dicomnode.network.entity import application_entity
from dicomnode.network.peers import Accepted, expect_ae_title
from dicomnode.network.pynetdicom_configuration import configure_pynetdicom
from dicomnode.network.server import ConnectionLimits, Server
from dicomnode.network.store_handler import OpenAssociation, Received, handle_store
from dicomnode.network.syntaxes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from dicomnode.network.unfinished import discard_unfinished

__all__ = ["OpenAssociation", "ReceiveSettings", "Received", "Receiver"]

log = structlog.get_logger(__name__)

_MAXIMUM_PDU_BYTES = 131072
_CONNECTIONS_TOTAL = 256  # pynetdicom waits with select(), which knows no descriptor above 1023
_CONNECTIONS_PER_HOST = 32
_ABORT_S = 3.0
"""An association that has not ended so long after it was aborted is left behind."""


@dataclass(frozen=True, kw_only=True)
class ReceiveSettings:
    """How the node listens. ``port`` 0 takes any free one; nobody but ``accept`` may send.

    ``incoming`` must lie on the spool's file system, so that a file is kept by renaming it.
    """

    ae_title: str
    host: str
    port: int
    incoming: Path
    accept: tuple[Accepted, ...]
    max_associations: int = 20
    max_associations_per_host: int = 10
    acse_timeout_s: float = 5.0
    network_timeout_s: float = 60.0
    min_free_bytes: int = 0
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        expect_ae_title(self.ae_title)


class Receiver:
    """The node's storage service class provider.

    Parameters
    ----------
    on_store : callable
        Keeps a :class:`Received`. The sender is told "success" when it returns, "out of
        resources" when it raises a :class:`DicomnodeError` and "cannot understand" when that
        is an :class:`InputError`.
    on_opened, on_closed : callable
        Called before the first and after the last instance of an association, whether it was
        released, aborted or lost.
    on_rejected : callable, optional
        Called with who asked and why it was turned away.
    on_commitment : callable, optional
        Takes a peer's answer to a storage commitment request.
    """

    def __init__(
        self,
        settings: ReceiveSettings,
        *,
        on_store: Callable[[Received], None],
        on_opened: Callable[[OpenAssociation], None],
        on_closed: Callable[[OpenAssociation], None],
        on_rejected: Callable[[AssociationRequest, str], None] | None = None,
        on_commitment: Callable[[CommitmentResult], None] | None = None,
    ) -> None:
        self._settings = settings
        self._on_store = on_store
        self._on_opened = on_opened
        self._on_closed = on_closed
        self._on_rejected = on_rejected
        self._on_commitment = on_commitment or _ignore_commitment
        self._open: dict[Association, OpenAssociation] = {}
        self._lock = threading.Lock()
        self._admission = _admission(settings)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._tempdir_before: str | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._server is not None, "the receiver was started"
        return int(self._server.server_address[1])

    @property
    def open_associations(self) -> tuple[OpenAssociation, ...]:
        """Who is connected."""
        with self._lock:
            return tuple(self._open.values())

    def start(self) -> None:
        """Listen. Files are written to ``incoming`` from now on.

        pynetdicom writes to the process's directory for temporary files; that is a global of
        the standard library, which :meth:`stop` puts back.
        """
        configure_pynetdicom()
        settings = self._settings
        self._tempdir_before, tempfile.tempdir = tempfile.tempdir, str(settings.incoming)
        self._server = self._listen()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,))
        self._thread.daemon = True
        self._thread.start()
        log.info("receiver.started", ae_title=settings.ae_title, port=self.port)

    def prepare(self, accept: Iterable[Accepted], tls: ssl.SSLContext | None) -> Callable[[], None]:
        """Make ready what decides who may send; calling what is returned puts it in force.

        Host names are looked up here, which may fail. Associations that are open stay so.
        """
        admission = _admission(replace(self._settings, accept=tuple(accept)))

        def put_in_force() -> None:
            assert self._server is not None, "the receiver was started"
            self._admission, self._server.tls = admission, tls

        return put_in_force

    def stop(self, grace_s: float = 10.0) -> None:
        """Stop accepting, let associations finish for a while, then abort the rest."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        if not self._wait_until_quiet(grace_s):
            with self._lock:
                rest = list(self._open)
            for assoc in rest:
                threading.Thread(target=assoc.abort, daemon=True).start()
            self._wait_until_quiet(_ABORT_S)
        tempfile.tempdir = self._tempdir_before
        log.info("receiver.stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _listen(self) -> Server:
        settings = self._settings
        limits = ConnectionLimits(
            total=_CONNECTIONS_TOTAL,
            per_host=_CONNECTIONS_PER_HOST,
            handshake_s=settings.acse_timeout_s,
            stall_s=settings.network_timeout_s,
        )
        handlers: list[EventHandlerType] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ESTABLISHED, self._established),
            (evt.EVT_C_STORE, self._stored),
            (evt.EVT_N_EVENT_REPORT, self._reported),
        ]
        try:
            return Server(
                _application_entity(settings),
                (settings.host, settings.port),
                limits=limits,
                on_end=self._ended,
                tls=settings.tls,
                handlers=handlers,
            )
        except OSError as error:
            raise SettingsError(
                f"could not listen on {settings.host}:{settings.port}: {error.strerror}",
                hint="another program may use the port, or the address is not this machine's",
            ) from error

    def _wait_until_quiet(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.open_associations:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _requested(self, event: Event) -> None:
        """Admit or reject, before anything is negotiated."""
        assoc = event.assoc
        with self._lock:
            request = _association_request(assoc, self._open.values())
            rejection = self._admission.refuse(request)
            if rejection is None:
                self._open[assoc] = OpenAssociation(
                    id=uuid.uuid4().hex, calling_ae=request.calling_ae, host=request.host
                )
                return
        log.warning(
            "association.rejected",
            calling_ae=request.calling_ae,
            called_ae=request.called_ae,
            host=request.host,
            reason=rejection.reason,
        )
        self._tell(request, rejection.reason)
        assoc.acse.send_reject(rejection.result, rejection.source, rejection.diagnostic)
        assoc.kill()

    def _tell(self, request: AssociationRequest, reason: str) -> None:
        if self._on_rejected is None:
            return
        try:
            self._on_rejected(request, reason)
        except Exception:
            log.exception("association.rejection_not_recorded")

    def _established(self, event: Event) -> None:
        opened = self._open[event.assoc]
        try:
            self._on_opened(opened)
        except Exception:
            log.exception("association.not_recorded", association=opened.id)
            event.assoc.abort()
            return
        log.info(
            "association.opened",
            association=opened.id,
            calling_ae=opened.calling_ae,
            host=opened.host,
        )

    def _stored(self, event: Event) -> Dataset:
        return handle_store(
            event,
            self._open[event.assoc],
            self._on_store,
            min_free_bytes=self._settings.min_free_bytes,
        )

    def _reported(self, event: Event) -> tuple[int, None]:
        return answer_report(event, self._on_commitment), None

    def _ended(self, assoc: Association) -> None:
        """Clean up after an association, however it ended."""
        ended = self._open.get(assoc)
        number = None if ended is None else ended.id
        try:
            discard_unfinished(assoc)
            if ended is not None:
                how = "released" if assoc.is_released else "aborted"
                log.info("association.ended", association=number, how=how)
                self._on_closed(ended)
        except Exception:
            log.exception("association.end_not_recorded", association=number)
        finally:  # whatever went wrong: a study must not wait for it
            with self._lock:
                self._open.pop(assoc, None)


def _admission(settings: ReceiveSettings) -> Admission:
    return Admission(
        ae_title=settings.ae_title,
        accept=settings.accept,
        max_associations=settings.max_associations,
        max_associations_per_host=settings.max_associations_per_host,
    )


def _application_entity(settings: ReceiveSettings) -> AE:
    ae = application_entity(settings.ae_title)
    ae.maximum_pdu_size = _MAXIMUM_PDU_BYTES
    ae.maximum_associations = _CONNECTIONS_TOTAL  # the library counts silent connections too
    ae.acse_timeout = settings.acse_timeout_s
    ae.network_timeout = settings.network_timeout_s
    for sop_class in STORAGE_CLASSES:
        ae.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
    ae.add_supported_context(Verification)
    # A peer that answers a commitment request calls as the SCP of that class (PS3.4 J.3.3).
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    return ae


def _association_request(
    assoc: Association, open_now: Iterable[OpenAssociation]
) -> AssociationRequest:
    asked, address = assoc.requestor.primitive, assoc.requestor.address_info
    assert asked is not None, "the association was requested"
    assert address is not None, "over a connection"
    hosts = Counter(one.host for one in open_now)
    host = plain_address(address.address)
    return AssociationRequest(
        called_ae=_title(asked.called_ae_title),
        calling_ae=_title(asked.calling_ae_title),
        host=host,
        open_total=hosts.total(),
        open_from_host=hosts[host],
    )


def _title(asked: str) -> str:
    """Write an AE title in one line; what no title may hold becomes U+FFFD, which none is."""
    return "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in asked.strip()
    )


def _ignore_commitment(result: CommitmentResult) -> None:
    log.warning("commitment.not_asked_for", transaction=result.transaction_uid)
