"""The reader's process from outside: asked for one file at a time, ended when it hangs."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["CPU_S", "Reading"]

CPU_S = 10.0
"""Longer work on one file is a hang."""
WALL_S = 90.0
"""The same where it does not even compute; generous, for machines that are busy."""


class Reading:
    """Gives a verdict on a file, whatever the file does to its reader."""

    def __init__(self) -> None:
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._end()

    def ask(self, path: Path, *, analyse: bool = False) -> tuple[str, str]:
        """Kind of verdict ("read", "refused", "unnamed", "crash", "hang", ...) and its words."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{'analyse' if analyse else 'read'} {path}\n")
        self._process.stdin.flush()
        hung = threading.Event()
        alarm = threading.Timer(WALL_S, lambda: (hung.set(), self._process.kill()))
        alarm.start()
        line = self._process.stdout.readline()
        alarm.cancel()
        if not line:
            status = self._process.wait()
            self._end()
            self._start()
            return "hang" if hung.is_set() else "crash", f"the reader's process ended with {status}"
        answer: dict[str, Any] = json.loads(line)
        if not analyse and answer["cpu_s"] > CPU_S:
            return "hang", f"{answer['cpu_s']:.0f} s of computing; then {answer['kind']}"
        return answer["kind"], answer["text"]

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "torture.reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[1]),
                "OMP_NUM_THREADS": "1",
            },
        )

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()
