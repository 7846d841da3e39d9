"""What every test may use."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest
from pydicom.dataset import Dataset

import conformance.example
import parts.postgres
import parts.wrap
from parts.postgres import Postgres
from parts.programs import program
from parts.waiting import PATIENCE_S

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


hypothesis.settings.register_profile(
    "steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")  # a machine that is busy makes no test fail

LONG = ("training", "viewers", "end_to_end", "torture")
"""Folders of the files that take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images that lie beside the checkout and may not be redistributed."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs ../shared/data, which may not be redistributed")
    return SHARED_DATA


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of these tests' own."""
    with parts.postgres.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def example() -> ModuleType:
    """A made-up exam and its findings."""
    return conformance.example


@pytest.fixture(scope="session")
def wrap() -> ModuleType:
    """Small US Multi-frame objects, and the real clip wrapped into one."""
    return parts.wrap


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[str, Dataset | Path], list[str]]:
    """Complaints of a validator (dciodvfy, dsrdump) about an object, one per line."""

    def complaints(name: str, written: Dataset | Path) -> list[str]:
        validator = program(name)
        path = written if isinstance(written, Path) else tmp_path / "judged.dcm"
        if isinstance(written, Dataset):
            written.save_as(path, enforce_file_format=True)
        result = subprocess.run(
            [validator, str(path)], capture_output=True, check=False, timeout=PATIENCE_S
        )
        return [
            line
            for line in result.stderr.decode("latin-1").splitlines()
            if line.startswith(("Error", "Warning", "E:", "W:", "F:"))
        ]

    return complaints
