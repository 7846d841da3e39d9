"""Debian programs that tests talk to."""

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["installed", "missing", "program"]


def program(name: str, *folders: str) -> str:
    """Path of a Debian program (a venv's PATH holds pynetdicom's own ``storescu``).

    ``folders`` are looked in as well. Where it is missing the test is skipped and says so, except
    under CI=true, where it fails.
    """
    found = shutil.which(name, path=":".join(("/usr/bin", "/usr/local/bin", "/usr/sbin", *folders)))
    if found is None:
        missing(name)
    return str(found)


def installed(path: Path) -> Path:
    """A file of a Debian package, on the terms of :func:`program`."""
    if not path.exists():
        missing(str(path))
    return path


def missing(name: str) -> None:
    """Skip the test that needs this, or fail it under CI=true."""
    assert os.environ.get("CI") != "true", f"{name} is not installed"
    pytest.skip(f"needs {name}; run tests/install-debian-packages")
