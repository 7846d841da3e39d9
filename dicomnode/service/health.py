"""What must work for the node to be ready, each as a question with a short answer."""

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from dicomnode.config import Settings
from dicomnode.jobs.reconcile import Reconciler
from dicomnode.store.ledger import Ledger
from dicomnode.store.spool import Spool

__all__ = ["Check", "health_checks"]

Check: TypeAlias = Callable[[], tuple[bool, str]]
"""Whether it works, and what was found."""

_GIB = 2**30
_TIMEOUT_S = 2.0
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
        "dicom": lambda: _listens(node.host, node.port),
        "jobs": lambda: _does_its_rounds(reconciler),
        "models": lambda: (bool(models), ", ".join(models) or "none loaded"),
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


def _listens(host: str, port: int) -> tuple[bool, str]:
    address = (_ANY_ADDRESS.get(host, host), port)
    try:
        with socket.create_connection(address, timeout=_TIMEOUT_S):
            return True, f"{host}:{port}"
    except OSError as error:
        return False, f"{host}:{port}: {error.strerror}"
