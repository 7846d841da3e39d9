"""``dicomnode check``: troubles found before they happen."""

import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dicomnode.config import Settings
from dicomnode.errors import DicomnodeError, NetworkError
from dicomnode.service.parts import MODEL_NAMES, receive_settings, transport
from dicomnode.store.lock import database_lock, directory_lock
from dicomnode.store.spool import Spool

__all__ = ["Finding", "check"]

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    level: Literal["ok", "warning", "error"]
    text: str


def check(
    settings: Settings, *, models: Callable[[Path], Sequence[str]] = MODEL_NAMES
) -> list[Finding]:
    """Look at everything a node with these settings needs; change nothing but its data_dir.

    An ``error`` keeps the node from starting or working; a ``warning`` is worth a look.
    """
    return [
        _settings(settings),
        _models(settings, models),
        *_data_dir(settings),
        _database(settings),
        *_ports(settings),
        *_certificates(settings),
        *_peers(settings),
    ]


def _settings(settings: Settings) -> Finding:
    if not settings.accept:
        return _warning("settings", "nobody may send: add [[accept]]")
    if not settings.destination:
        return _warning("settings", "results go nowhere: add [[destination]]")
    return _ok(
        "settings", f"{len(settings.accept)} senders, {len(settings.destination)} destinations"
    )


def _models(settings: Settings, models: Callable[[Path], Sequence[str]]) -> Finding:
    directory = settings.models.directory
    try:
        return _ok("models", ", ".join(models(directory)))
    except DicomnodeError as error:
        return _error("models", str(error))


def _data_dir(settings: Settings) -> list[Finding]:
    directory = settings.node.data_dir
    try:
        with directory_lock(directory):
            free_gib = Spool(directory / "spool").free_bytes() / _GIB
    except (DicomnodeError, OSError) as error:
        return [_error("data_dir", str(error))]
    wanted_gib = settings.retention.min_free_gib
    room = f"{free_gib:.1f} GiB free in {directory}, at least {wanted_gib:g} wanted"
    return [
        _ok("data_dir", room) if free_gib >= wanted_gib else _error("data_dir", room),
        *_open_to_others(directory),
    ]


def _open_to_others(directory: Path) -> list[Finding]:
    mode = directory.stat().st_mode & 0o777
    if not mode & 0o007:
        return []
    return [_warning("data_dir", f"{directory} is open to others, mode {mode:o}; chmod 700 it")]


def _database(settings: Settings) -> Finding:
    try:
        with database_lock(settings.ledger_url, settings.node.data_dir):
            return _ok("database", "answers, and no other node has it")
    except DicomnodeError as error:
        return _error("database", str(error))


def _ports(settings: Settings) -> list[Finding]:
    wanted = [("port", settings.node.host, settings.node.port)]
    if settings.web.enabled:
        wanted.append(("web port", settings.web.host, settings.web.port))
    return [_port(what, host, port) for what, host, port in wanted]


def _port(what: str, host: str, port: int) -> Finding:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return _error(what, f"cannot listen on {host}:{port}: {error.strerror}")
    return _ok(what, f"{host}:{port} is free")


def _certificates(settings: Settings) -> list[Finding]:
    """Load what receiving needs; what sending needs is loaded for each peer."""
    try:
        receive_settings(settings, settings.node.data_dir)
    except DicomnodeError as error:
        return [_error("receiving", str(error))]
    return [_ok("tls", "certificates load")] if settings.tls.receive else []


def _peers(settings: Settings) -> list[Finding]:
    findings = []
    for destination in settings.destination:
        what = f"destination {destination.name}"
        try:
            told = transport(destination, settings, settings.node.data_dir).check()
        except NetworkError as error:  # it may be away now and back later
            findings.append(_warning(what, str(error)))
        except DicomnodeError as error:
            findings.append(_error(what, str(error)))
        else:
            findings.append(_ok(what, told))
    return findings


def _ok(what: str, text: str) -> Finding:
    return Finding(what=what, level="ok", text=text)


def _warning(what: str, text: str) -> Finding:
    return Finding(what=what, level="warning", text=text)


def _error(what: str, text: str) -> Finding:
    return Finding(what=what, level="error", text=text)
