"""Health of the node: what must work for it to be ready, each with a short answer."""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from dicomnode.config import Settings
from dicomnode.jobs.reconcile import Reconciler
from dicomnode.store.ledger import Ledger
from dicomnode.store.spool import Spool

__all__ = ["Check", "health_checks", "signs_of_life"]

Check: TypeAlias = Callable[[], tuple[bool, str]]
"""Whether it works, and what was found."""

_GIB = 2**30
_TIMEOUT_S = 10.0
_LATEST_ROUND_S = 60.0
_LATEST_BEGIN_S = 600.0  # a table that is locked for so long may be free a moment later
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared only


def health_checks(
    settings: Settings,
    ledger: Ledger,
    spool: Spool,
    *,
    reconciler: Reconciler,
    models: Sequence[str],
) -> Mapping[str, Check]:
    """List what ``/health/ready`` asks."""
    node = settings.node
    return {
        "ledger": lambda: _answers(ledger),
        "disk": lambda: _has_room(spool, settings.retention.min_free_gib),
        "dicom": lambda: _receives(node.host, node.port),
        "jobs": lambda: _does_its_rounds(reconciler),
        "models": lambda: (bool(models), ", ".join(models) or "none loaded"),
    }


def signs_of_life(settings: Settings, reconciler: Reconciler) -> Mapping[str, Check]:
    """List what only a new process mends; a ledger that does not answer is none of it."""
    node = settings.node
    return {
        "dicom": lambda: _receives(node.host, node.port),
        "loop": lambda: _goes_round(reconciler),
        "engine": lambda: _begins(reconciler),
    }


def _answers(ledger: Ledger) -> tuple[bool, str]:
    exams = sum(ledger.exam_counts().values())
    return True, f"{exams} exams"


def _does_its_rounds(reconciler: Reconciler) -> tuple[bool, str]:
    if not reconciler.alive:
        return False, "stopped"
    return not reconciler.trouble, reconciler.trouble or "running"


def _has_room(spool: Spool, min_free_gib: float) -> tuple[bool, str]:
    free_gib = spool.free_bytes() / _GIB
    return free_gib >= min_free_gib, f"{free_gib:.1f} GiB free, at least {min_free_gib:g} wanted"


def _goes_round(reconciler: Reconciler) -> tuple[bool, str]:
    silent_s = time.monotonic() - reconciler.beat
    works = reconciler.alive and silent_s < _LATEST_ROUND_S
    return works, f"last round {silent_s:.0f} s ago"


def _begins(reconciler: Reconciler) -> tuple[bool, str]:
    """Whether the engine begins what is due; one whose file was removed or ruined never will."""
    refused_s = reconciler.refused_s
    return refused_s < _LATEST_BEGIN_S, f"refused work for {refused_s:.0f} s"


def _receives(host: str, port: int) -> tuple[bool, str]:
    """Connect, say nothing more and wait until the receiver hangs up.

    The kernel connects even where nobody accepts; only a receiver that serves hangs up.
    """
    address = (_ANY_ADDRESS.get(host, host), port)
    try:
        with socket.create_connection(address, timeout=_TIMEOUT_S) as connection:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1024):
                pass
    except ConnectionResetError:
        return True, f"{host}:{port}"
    except OSError as error:
        return False, f"{host}:{port}: {error.strerror or 'no answer'}"
    return True, f"{host}:{port}"
