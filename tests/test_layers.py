"""Imports go one way: down the table of rooms."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dicomnode"

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "science": {"errors"},
    "dicom": {"science", "errors"},
    "inference": {"science", "errors"},
    "report": {"science", "errors"},
    "pipeline": {"errors", "science", "dicom", "inference", "report"},
    "outputs": {"errors", "science", "dicom", "inference", "report", "pipeline"},
    "simulate": {"errors", "science", "dicom"},
    "training": {"errors", "science", "dicom", "inference", "report", "simulate", "pipeline"},
    "store": {"errors"},
    "network": {"errors"},
    "jobs": {"errors", "store", "network", "pipeline", "outputs"},
    "web": {"errors", "store"},
    "log": {"errors"},
    "config": {"errors", "network", "outputs", "store", "jobs", "web", "pipeline", "log"},
    "service": {
        "errors",
        "store",
        "network",
        "pipeline",
        "outputs",
        "inference",
        "jobs",
        "web",
        "config",
        "log",
    },
    "cli": {"*"},
}

OF_THE_PACKAGE = {"__version__", "IMPLEMENTATION_CLASS_UID", "IMPLEMENTATION_VERSION_NAME"}
"""What the software is called: any room may say it."""

ONLY_HERE = {
    "dbos": "jobs",
    "onnxruntime": "inference",
    "pynetdicom": "network",
    "sqlalchemy": "store",
    "matplotlib": "report",
    "torch": "training",
}


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
            assert target in {room, *OF_THE_PACKAGE} or target in allowed or "*" in allowed, (
                f"{room} must not import {target}"
            )
        elif top in ONLY_HERE:
            assert room == ONLY_HERE[top], f"only {ONLY_HERE[top]} may import {top}, not {room}"


def test_every_room_is_in_the_table() -> None:
    assert {room_of(path) for path in modules()} - {"__init__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_import_hides_inside_a_function(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert not inner, f"{node.name} imports inside its body: a circle, or a hidden need"
