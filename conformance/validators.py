"""Verdicts of Debian's validators on the made-up exam's objects."""

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset

from conformance.exam import cases

__all__ = ["judgements", "missing_tools", "versions"]

VERSION_OPTION = {"dciodvfy": "-version", "dsrdump": "--version"}
"""Programs by the option that makes them say their version."""
DEBIAN = "/usr/bin:/usr/local/bin"


def missing_tools() -> tuple[str, ...]:
    """Name the validators that are not installed."""
    return tuple(name for name in VERSION_OPTION if _path(name) is None)


def versions() -> tuple[str, ...]:
    """Return the first line in which each program states its version."""
    return tuple(
        next(line.strip("$ ") for line in _output(name, [option]).splitlines() if _is_version(line))
        for name, option in VERSION_OPTION.items()
    )


def judgements() -> str:
    """Return a document of what they print: all of dciodvfy's, dsrdump's complaints."""
    texts = [_heading()]
    objects = cases().base.objects
    for kind, dataset in objects.items():
        texts.append(_section(f"dciodvfy on `{kind}`", _judged("dciodvfy", dataset)))
    for kind in ("sr", "refusal"):
        complaints = [line for line in _judged("dsrdump", objects[kind]) if line[1:2] == ":"]
        texts.append(_section(f"dsrdump on `{kind}`", complaints))
    return "\n\n".join(texts) + "\n"


def _heading() -> str:
    listed = "\n".join(f"- {version}" for version in versions())
    return f"""# What validators print

Written by `make conformance` where both programs are installed, on the objects of the made-up exam:

{listed}

Equal lines are counted. dciodvfy knows no private coding scheme, so "Unrecognized defined term" is
expected for <99DICOMNODE> and its UID."""


def _section(title: str, lines: Sequence[str]) -> str:
    counted = [f"{count} x {line}" if count > 1 else line for line, count in Counter(lines).items()]
    printed = "\n".join(counted) or "(nothing)"
    return f"## {title}\n\n```\n{printed}\n```"


def _judged(name: str, dataset: Dataset) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "judged.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return _output(name, [str(path)], errors_only=True).rstrip().splitlines()


def _output(name: str, arguments: Sequence[str], *, errors_only: bool = False) -> str:
    program = _path(name)
    assert program is not None, f"{name} is installed"
    done = subprocess.run([program, *arguments], capture_output=True, check=False, timeout=120)
    printed = done.stderr if errors_only else done.stdout + done.stderr
    return printed.decode("latin-1")


def _is_version(line: str) -> bool:
    return "Version:" in line or line.startswith("$dcmtk")


def _path(name: str) -> str | None:
    return shutil.which(name, path=DEBIAN)
