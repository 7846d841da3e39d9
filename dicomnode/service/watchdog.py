"""The sign of life that systemd waits for, given only while the node really works."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import structlog

from dicomnode.service.health import Check
from dicomnode.service.notify import notify
from dicomnode.service.rounds import Rounds

__all__ = ["watchdog"]

log = structlog.get_logger(__name__)

_SIGNS_PER_LIMIT = 4


def watchdog(checks: Mapping[str, Check]) -> AbstractContextManager[object]:
    """Make the thread that tells systemd, for the limit that its unit sets (WATCHDOG_USEC)."""
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not limit_us.isdecimal() or not meant:
        return nullcontext()
    return Rounds("watchdog", lambda: _tell(checks), every_s=int(limit_us) / 1e6 / _SIGNS_PER_LIMIT)


def _tell(checks: Mapping[str, Check]) -> None:
    """Be silent when anything does not work: then systemd ends the node and starts another."""
    found = {name: check() for name, check in checks.items()}
    if wrong := {name: text for name, (works, text) in found.items() if not works}:
        log.error("watchdog.silent", wrong=wrong)
    else:
        notify("WATCHDOG=1")
