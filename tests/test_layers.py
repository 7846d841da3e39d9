"""Imports go one way: down the table of rooms."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from parts.waiting import PATIENCE_S

PACKAGE = Path(__file__).parents[1] / "dicomnode"

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "named": set(),
    "allocator": set(),
    "paths": {"errors"},
    "kinds": {"named"},
    "syntaxes": set(),
    "record": {"errors"},
    "recipe": {"science"},
    "science": {"errors"},
    "dicom": {"science", "recipe", "kinds", "syntaxes", "errors"},
    "inference": {"science", "errors"},
    "report": {"science", "errors"},
    "pipeline": {"errors", "recipe", "science", "dicom", "inference", "report"},
    "outputs": {
        "errors",
        "kinds",
        "record",
        "recipe",
        "science",
        "dicom",
        "inference",
        "report",
        "pipeline",
    },
    "simulation": {"errors", "science", "dicom"},
    "training": {
        "errors",
        "recipe",
        "science",
        "dicom",
        "inference",
        "report",
        "simulation",
        "pipeline",
    },
    "store": {"errors", "named", "record"},
    "network": {"errors", "allocator", "syntaxes"},
    "deliver": {"errors", "kinds", "named", "network"},
    "jobs": {"errors", "named", "store", "deliver", "outputs"},
    "web": {"errors", "kinds", "record", "store"},
    "log": {"errors"},
    "config": {"errors", "recipe", "dicom", "store", "network", "deliver", "jobs", "web", "log"},
    "service": {
        "errors",
        "allocator",
        "named",
        "kinds",
        "record",
        "recipe",
        "store",
        "network",
        "deliver",
        "outputs",
        "inference",
        "jobs",
        "web",
        "config",
        "log",
    },
    "api": {"errors", "paths", "recipe", "inference", "pipeline", "simulation", "config"},
    "cli": {"*"},
}

ONLY_HERE = {
    "dbos": "jobs",
    "onnxruntime": "inference",
    "pynetdicom": "network",
    "alembic": "store",
    "sqlalchemy": "store",
    "matplotlib": "report",
    "torch": "training",
}


HEAVY = {"av", "highdicom", "matplotlib", "numba", "onnxruntime", "scipy", "sklearn"}
LIGHT_DOORS = ("dicomnode.service.node", "dicomnode.cli.exams", "dicomnode.cli.serve")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_the_table(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    allowed = MAY_IMPORT[room]
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "dicomnode":
            target = rest.split(".")[0]
            assert target in {room, "version"} | allowed or "*" in allowed, (
                f"{room} must not import {target}"
            )
        elif top in ONLY_HERE:
            assert room == ONLY_HERE[top], f"only {ONLY_HERE[top]} may import {top}, not {room}"


def packages() -> list[Path]:
    return sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


@pytest.mark.parametrize("package", packages(), ids=lambda p: str(p.relative_to(PACKAGE.parent)))
def test_within_a_room_imports_go_one_way_too(package: Path) -> None:
    """Files and folders that lie side by side, each with all that is in it, form no circle."""
    beside: dict[str, set[str]] = {}
    prefix = ".".join(package.relative_to(PACKAGE.parent).parts) + "."
    for path in package.rglob("*.py"):
        part = path.relative_to(package).with_suffix("").parts[0]
        found = {
            name.removeprefix(prefix).split(".")[0]
            for name in imported(path)
            if name.startswith(prefix)
        }
        beside.setdefault(part, set()).update(found - {part})
    beside.pop("__init__", None)
    TopologicalSorter({part: needs & beside.keys() for part, needs in beside.items()}).prepare()


@pytest.mark.parametrize("module", LIGHT_DOORS)
def test_what_runs_all_day_or_at_once_loads_nothing_heavy(module: str) -> None:
    """Rooms that compute are named where work is handed on, not imported."""
    told = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, check=True, text=True, timeout=PATIENCE_S
    ).stdout.split()
    assert "pydantic" in loaded
    assert not HEAVY & set(loaded)


def test_every_room_is_in_the_table() -> None:
    assert {room_of(path) for path in modules()} - {"__init__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_import_hides_inside_a_function(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert not inner, f"{node.name} imports inside its body: a circle, or a hidden need"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_says_first_what_it_is(path: Path) -> None:
    """Its docstring begins with a noun phrase: a list of modules reads as a table of contents."""
    told = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert told, "expected a docstring"
    assert told.split()[0] not in {"What", "How", "Who", "Where", "Which", "Why", "When"}
