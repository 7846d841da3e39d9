"""Settings that a running node takes over from its file, and those that want a new start."""

from typing import Any

from dicomnode.config import Settings

__all__ = ["RELOADED", "merged", "need_restart"]

RELOADED = ("accept", "destination", "tls")
"""Sections that are put in force while associations and jobs go on."""


def merged(running: Settings, wanted: Settings) -> Settings:
    """Take from ``wanted`` what can be put in force now, and keep the rest."""
    return running.model_copy(update={name: getattr(wanted, name) for name in RELOADED})


def need_restart(running: Settings, wanted: Settings) -> list[str]:
    """Name the keys that differ and are not put in force, as "section.key"."""
    return [
        f"{section}.{key}"
        for section in type(running).model_fields
        if section not in RELOADED
        for key in _differing(getattr(running, section), getattr(wanted, section))
    ]


def _differing(running: Any, wanted: Any) -> list[str]:
    return [key for key, value in vars(running).items() if value != vars(wanted)[key]]
