"""A made-up exam and its findings, and the validators that judge what is made of them."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from pydicom.dataset import Dataset

EXAMPLE = Path(__file__).resolve().parents[1] / "example.py"


@pytest.fixture(scope="session")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[str, Dataset | Path], list[str]]:
    """Complaints of a validator (dciodvfy, dsrdump) about an object, one per line."""

    def complaints(program: str, written: Dataset | Path) -> list[str]:
        found = shutil.which(program, path="/usr/bin:/usr/local/bin")
        if found is None:
            assert os.environ.get("CI") != "true", f"{program} is not installed"
            pytest.skip(f"needs {program}; run tests/install-debian-packages")
        path = written if isinstance(written, Path) else tmp_path / "judged.dcm"
        if isinstance(written, Dataset):
            written.save_as(path, enforce_file_format=True)
        result = subprocess.run([found, str(path)], capture_output=True, check=False, timeout=60)
        return [
            line
            for line in result.stderr.decode("latin-1").splitlines()
            if line.startswith(("Error", "Warning", "E:", "W:", "F:"))
        ]

    return complaints


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def wrap() -> ModuleType:
    """Small US Multi-frame objects, and the real clip wrapped into one."""
    return _module("wrap")
