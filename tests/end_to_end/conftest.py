"""The whole node, as it is installed: ``dicomnode serve`` and the other commands as processes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomnode.simulation import recipe_for, simulate, write
from parts.programs import program
from parts.site import TESTS, Site
from parts.waiting import PATIENCE_S

COMMAND = (sys.executable, "-m", "dicomnode.cli")

Simulate = Callable[..., list[Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole exams on a busy machine take their time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulate:
    """Write one simulated injection; the same choices are simulated once."""
    written: dict[str, list[Path]] = {}

    def make(kind: str = "malignant", seed: int = 11, **choices: Any) -> list[Path]:
        key = f"{kind} {seed} {sorted(choices.items())}"
        if key not in written:
            recipe = recipe_for(kind, seed, **{"preset": "small", **choices})  # type: ignore[arg-type]
            written[key] = write(simulate(recipe), tmp_path_factory.mktemp("scanner"))
        return written[key]

    return make


@pytest.fixture(scope="session")
def full_exam(simulated: Simulate) -> Path:
    """One clip of 360 frames."""
    (path,) = simulated(seed=7, preset="full")
    return path


@pytest.fixture(scope="session")
def dicomnode() -> Command:
    """Run a command of ``dicomnode`` and give what it said and its exit status."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    return run


@pytest.fixture(scope="session")
def new_site() -> Iterator[Callable[[Path], Site]]:
    """Make a site whose node is the real one."""
    sites: list[Site] = []
    for name in ("storescu", "storescp"):
        program(name)

    def make(root: Path) -> Site:
        sites.append(Site(root, command=(*COMMAND, "serve", "-c")))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture(scope="session")
def mortal_node() -> tuple[str, ...]:
    """Command of a node that dies where DIE_AT says."""
    return sys.executable, str(TESTS / "parts" / "run_node.py")
