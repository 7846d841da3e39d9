"""A node as its own process that can be made to die: ``run_node.py SETTINGS``.

``DIE_AT=EVENT`` or ``DIE_AT=EVENT:STEP`` in the environment kills the process, as SIGKILL does,
in the moment before it would log that event.
"""

import functools
import os
import signal
import sys
from pathlib import Path
from typing import Any

import structlog

from dicomnode.config import load_settings
from dicomnode.log import configure
from dicomnode.service import process
from dicomnode.service.node import Node

__all__ = ["run"]


def run(**analysis: Any) -> None:
    """Do what ``dicomnode serve`` does; ``analysis`` goes to the :class:`Node`."""
    path = Path(sys.argv[1])
    settings = load_settings(path)
    configure(settings.log)
    if point := os.environ.get("DIE_AT"):
        _die_at(point)
    process.run(Node(settings, **analysis), functools.partial(load_settings, path))


def _die_at(point: str) -> None:
    def look(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        step = event.get("step")
        if point == (f"{event['event']}:{step}" if step else event["event"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return event

    structlog.configure(processors=[look, *structlog.get_config()["processors"]])


if __name__ == "__main__":
    run()
