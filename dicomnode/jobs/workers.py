"""Heavy work, each piece in a process of its own.

A pool that lends its processes out would let one exam that breaks its process take others
with it, and could not end one that hangs. A process per exam is forked in milliseconds, gives
all memory back and can be killed.
"""

import ctypes
import errno
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from typing import Any

from dicomnode.errors import DicomnodeError, StoreError
from dicomnode.jobs.memory import GIB, confine, share_bytes, used_bytes
from dicomnode.jobs.step import Interrupted

__all__ = ["WorkError", "WorkerDiedError", "Workers", "die_with_parent", "passes"]

_LOOK_S = 0.1  # a process fills about half a GiB meanwhile
_PR_SET_PDEATHSIG = 1  # prctl(2)
_PASSING = frozenset(
    {
        errno.EAGAIN,
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EROFS,
    }
)
"""What a machine says when it has no room or no means for now; no fault of the work."""


def passes(error: Exception) -> bool:
    """Say whether an error is the machine's for now, so that the same work may succeed later."""
    if isinstance(error, OSError):
        return error.errno in _PASSING
    return isinstance(error, StoreError) and error.retryable


class WorkError(DicomnodeError):
    """The work raised; says what and where, without the text of foreign exceptions."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class WorkerDiedError(WorkError):
    """The process ended without an answer: killed, out of memory, or a fault in native code."""

    retryable = True


@dataclass(frozen=True)
class _Raised:
    """An exception on its way between processes; exceptions themselves may not unpickle."""

    code: str
    text: str
    passes: bool = False


class Workers:
    """Runs functions in processes that die with this one.

    Parameters
    ----------
    timeout_s : float
        A function that takes longer is killed.
    memory_bytes : int, optional
        A function whose process takes more memory is killed; by default, more than one worker
        may have on this machine.
    prepare : callable
        Called first in each process, to set up its log; picklable.
    """

    def __init__(
        self, *, timeout_s: float, prepare: Callable[[], None], memory_bytes: int | None = None
    ) -> None:
        self._timeout_s = timeout_s
        self._memory_bytes = share_bytes(1) if memory_bytes is None else memory_bytes
        self._prepare = prepare
        self._context = multiprocessing.get_context("forkserver")
        self._running: dict[ForkServerProcess, str] = {}
        self._lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        """Start the fork server; from a thread that lives as long as the node."""
        self._context.set_forkserver_preload(["dicomnode.jobs.forkserver_preload"])
        ensure_running()

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        key: str = "",
        timeout_s: float | None = None,
    ) -> Any:
        """Call ``function`` in a new process and give what it returns.

        ``key`` names the work for :meth:`cancel`; ``timeout_s`` is for work that is no analysis.

        Raises
        ------
        StoreError
            When the machine had no room for now; another attempt may succeed.
        WorkerDiedError
            When the process ended without an answer; another attempt may succeed.
        WorkError
            When the function raised, or took too long or too much memory.
        Interrupted
            When the workers were stopped meanwhile.
        """
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_main,
            args=(sender, self._memory_bytes, self._prepare, function, args),
            daemon=True,
        )
        with receiver:
            self._begin(process, key)
            sender.close()
            try:
                answer = self._answer(receiver, process, timeout_s or self._timeout_s)
            finally:
                self._end(process)
        if isinstance(answer, _Raised):
            raise StoreError(answer.text) if answer.passes else WorkError(answer.code, answer.text)
        return answer

    def cancel(self, key: str) -> None:
        """Kill the work of this name: nobody wants its result any more."""
        with self._lock:
            unwanted = [process for process, name in self._running.items() if name == key]
            for process in unwanted:
                del self._running[process]
        for process in unwanted:
            process.kill()

    def stop(self) -> None:
        """Kill what runs; its callers are interrupted."""
        with self._lock:
            self._stopping = True
            running = tuple(self._running)
        for process in running:
            process.kill()

    def _begin(self, process: ForkServerProcess, key: str) -> None:
        with self._lock:
            if self._stopping:
                raise Interrupted
            process.start()
            self._running[process] = key

    def _end(self, process: ForkServerProcess) -> None:
        process.kill()
        process.join()
        with self._lock:
            self._running.pop(process, None)
        process.close()

    def _answer(self, receiver: Connection, process: ForkServerProcess, timeout_s: float) -> Any:
        ready = self._wait(receiver, process, timeout_s)
        if receiver in ready:
            with suppress(EOFError):  # the pipe's end closes with a process that dies
                return receiver.recv()
        if self._stopping:
            raise Interrupted
        if not ready:
            raise WorkError(
                "analysis-timeout", f"expected an answer within {timeout_s:.0f} s, got none"
            )
        if process not in self._running:
            raise WorkError("abandoned", "expected somebody to want the result, nobody does")
        process.join()
        raise WorkerDiedError("worker-died", _how_it_ended(process.exitcode))

    def _wait(
        self, receiver: Connection, process: ForkServerProcess, timeout_s: float
    ) -> list[Any]:
        """Give what is ready in time, or nothing; meanwhile look at the memory."""
        give_up_at = time.monotonic() + timeout_s
        while (left_s := give_up_at - time.monotonic()) > 0:
            if ready := wait([receiver, process.sentinel], timeout=min(left_s, _LOOK_S)):
                return ready
            if (used := used_bytes(process.pid or 0)) > self._memory_bytes:
                raise _too_much_memory(self._memory_bytes, f"it took {used / GIB:.1f} GiB")
        return []


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the one that started it ends (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _main(
    sender: Connection,
    memory_bytes: int,
    prepare: Callable[[], None],
    function: Callable[..., Any],
    args: Any,
) -> None:
    """Run in the worker: the boundary where anything that goes wrong becomes an answer."""
    die_with_parent()
    node = multiprocessing.parent_process()
    if node is None or not node.is_alive():
        return  # it ended before the kernel was asked
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)  # receiving goes first
    confine(memory_bytes)
    prepare()
    try:
        answer = function(*args)
    except MemoryError:
        error = _too_much_memory(memory_bytes, "it asked for more")
        answer = _Raised(error.code, str(error))
    except DicomnodeError as error:
        code = getattr(error, "code", "analysis-error")
        answer = _Raised(code, str(error), passes=passes(error))
    except OSError as error:
        answer = _Raised("analysis-error", _where(error), passes=passes(error))
    except Exception as error:
        answer = _Raised("analysis-error", _where(error))
    sender.send(answer)


def _too_much_memory(limit_bytes: int, found: str) -> WorkError:
    return WorkError(
        "analysis-memory",
        f"expected the analysis to take at most {limit_bytes / GIB:.1f} GiB of memory, {found}",
        hint="where the exam is meant to be so large, raise node.worker_memory_gib",
    )


def _where(error: Exception) -> str:
    """Name an exception's kind and place; its text may quote a patient's data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(frame.filename)}:{frame.lineno} ({frame.name})"  # noqa: PTH119
    told = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"expected a result, got {type(error).__name__} in {place}{told}"


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        how = signal.Signals(-exit_code).name
        return f"the analysis process was ended by {how}; SIGKILL often means out of memory"
    return f"the analysis process ended with status {exit_code} and without an answer"
