"""Debian programs that tests talk to."""

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["installed", "program"]


def program(name: str) -> str:
    """Path of a Debian program (a venv's PATH holds pynetdicom's own ``storescu``).

    Where it is missing the test is skipped and says so, except under CI=true, where it fails.
    """
    found = shutil.which(name, path="/usr/bin:/usr/local/bin:/usr/sbin")
    if found is None:
        _missing(name)
    return str(found)


def installed(path: Path) -> Path:
    """A file of a Debian package, on the terms of :func:`program`."""
    if not path.exists():
        _missing(str(path))
    return path


def _missing(name: str) -> None:
    assert os.environ.get("CI") != "true", f"{name} is not installed"
    pytest.skip(f"needs {name}; run tests/install-debian-packages")
