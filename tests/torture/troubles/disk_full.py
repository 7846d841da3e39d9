"""A file system without room, given room again while the node runs."""

import os
import subprocess
from functools import partial
from pathlib import Path

from parts.waiting import wait_until
from torture.arena import Arena
from torture.figures import Figure
from torture.phases import PHASES, SHORT_PHASES, at_phases
from torture.scenario import Scale, Scenario, Trouble

__all__ = ["TROUBLE", "cannot_mount", "small_disk"]

DISK_MIB = 48
NOTICED_S = 8.0
"""How long a full disk lasts when the node says nothing of it."""


def cannot_mount() -> str:
    """Why no file system of its own can be made here, or nothing."""
    return "" if os.geteuid() == 0 else "needs root, to mount a small file system"


def small_disk(arena: Arena) -> Path:
    """Give the node a data directory with little room."""
    arena.site.data_dir.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", str(arena.site.data_dir)]
    subprocess.run(["mount", *options], check=True)
    arena.stack.callback(subprocess.run, ["umount", "--lazy", str(arena.site.data_dir)], check=True)
    arena.stack.callback(arena.end_node)
    return arena.site.data_dir


class DiskFull:
    """Every block taken, then given back."""

    def begin(self, arena: Arena) -> None:
        self.warned = len(_troubles(arena))
        with (arena.site.data_dir / "ballast").open("wb", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12, 1):
                self._fill(ballast.fileno(), bytes(size))

    def last(self, arena: Arena) -> None:
        """Until the node has said something of it, or nothing more is to be expected."""
        try:
            wait_until(
                "the node notices",
                lambda: len(_troubles(arena)) > self.warned,
                patience_s=NOTICED_S,
            )
        except AssertionError:
            arena.did["unnoticed"] += 1

    def end(self, arena: Arena) -> None:
        (arena.site.data_dir / "ballast").unlink()

    def _fill(self, descriptor: int, block: bytes) -> None:
        try:
            while True:
                os.write(descriptor, block)
        except OSError:
            return


def _troubles(arena: Arena) -> list[object]:
    assert arena.node is not None
    return [one for one in arena.node.events() if one.get("level") in ("warning", "error")]


def scenarios(scale: Scale) -> list[Scenario]:
    phases = list(PHASES) if scale.every_phase else SHORT_PHASES
    at = [
        Scenario(name=one.name, run=partial(_on_small_disk, one), needs=cannot_mount())
        for one in at_phases("full", DiskFull, phases)
    ]
    start = Scenario(name="full at start", run=_full_at_start, needs=cannot_mount())
    return [*at, start] if scale.every_phase else at


def _on_small_disk(scenario: Scenario, arena: Arena) -> None:
    small_disk(arena)
    scenario.run(arena)


def _full_at_start(arena: Arena) -> None:
    """A node that cannot write says so and ends, or waits; with room it works."""
    small_disk(arena)
    arena.start().ready()
    arena.send()
    arena.settle()
    arena.kill()
    cause = DiskFull()
    node = arena.start()
    with (arena.site.data_dir / "ballast").open("wb", buffering=0) as ballast:
        for size in (1 << 20, 1 << 12, 1):
            cause._fill(ballast.fileno(), bytes(size))
    arena.wait_for(
        "the node ends or is ready",
        lambda: node.process.poll() is not None or node.saw("node.ready"),
    )
    if node.process.poll() is not None and "data" not in node.log.read_text():
        arena.fault(Figure.SILENT, f"a full disk at start: {node.log.read_text()[-300:]}")
    cause.end(arena)
    if node.process.poll() is not None:
        arena.start().ready()
    arena.send()
    arena.send_rest()
    arena.settle()


TROUBLE = Trouble(
    name="disk full",
    what=f"a file system of {DISK_MIB} MiB filled to the last byte at each phase, then given back",
    scenarios=scenarios,
)
