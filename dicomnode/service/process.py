"""A node as a process: it obeys signals, and it ends when it is told to, whatever hangs."""

import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import structlog

from dicomnode.allocator import share_pools
from dicomnode.config import Settings
from dicomnode.service.node import STOP_GRACE_S, Node

__all__ = ["run"]

log = structlog.get_logger(__name__)

_LAST_WORDS_S = 1.0
_ENDING = (signal.SIGINT, signal.SIGTERM)


def run(node: Node, load: Callable[[], Settings]) -> NoReturn:
    """Be a node until SIGTERM or Ctrl-C; SIGHUP has it take over its settings anew.

    The process ends here: a thread that waits for a peer, or a disk, must not keep it.
    """
    share_pools()
    faulthandler.enable()  # where it hung, when systemd's watchdog ends it by SIGABRT
    _listen(node, load)
    threading.Thread(target=_end_in_time, args=(node,), name="end", daemon=True).start()
    with node:
        gc.collect()
        gc.freeze()  # what a start has made stays: later collections need not look at it
        node.wait()
    _end(0)


def _listen(node: Node, load: Callable[[], Settings]) -> None:
    """Have a thread read the signals.

    What a handler may do depends on what it interrupts, and it comes late while the main thread
    is in C; the number itself is written to a socket at once (:func:`signal.set_wakeup_fd`).
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGHUP, *_ENDING):
        signal.signal(number, _leave_to_thread)
    threading.Thread(target=_obey, args=(reader, node, load), name="signals", daemon=True).start()


def _leave_to_thread(_number: int, _frame: FrameType | None) -> None: ...


def _obey(signals: socket.socket, node: Node, load: Callable[[], Settings]) -> None:
    while True:
        (number,) = signals.recv(1)
        if number == signal.SIGHUP:
            threading.Thread(target=node.reload, args=(load,), name="reload", daemon=True).start()
        elif number in _ENDING:
            node.stop()


def _end_in_time(node: Node) -> None:
    """End the process when its stop takes too long; all that it holds survives that."""
    node.ending.wait()
    time.sleep(node.settings.node.drain_s + STOP_GRACE_S)
    status = 1 if node.failure else 0
    last_words = threading.Thread(
        target=log.error, args=("node.stop_cut_short",), kwargs={"at": _places()}, daemon=True
    )
    last_words.start()  # by a thread, because the log may be what hangs
    last_words.join(_LAST_WORDS_S)
    os._exit(status)


def _end(status: int) -> NoReturn:
    logging.shutdown()
    sys.stderr.flush()
    os._exit(status)


def _places() -> list[str]:
    """Say where the main thread is: that is what the stop waits for."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
    places: list[str] = []
    while frame is not None and len(places) < 5:
        places.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return places
