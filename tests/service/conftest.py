"""A site whose node has a stand-in for the analysis, and clips that tell it what to do."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parts.clips import write_clip
from parts.programs import program
from parts.site import TESTS, Site

HERE = Path(__file__).parent


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    for name in ("storescu", "storescp"):
        program(name)
    site = Site(
        tmp_path,
        command=(sys.executable, str(HERE / "run_node.py")),
        environment={
            "PYTHONPATH": os.pathsep.join((str(TESTS), str(HERE))),
            "STAND_IN_MARKER": str(tmp_path / "marker-"),
        },
    )
    site.write_settings()
    yield site
    site.close()


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "clip.dcm", **what: str) -> Path:
        return write_clip(tmp_path / name, **what)

    return write
