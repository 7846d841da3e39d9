"""A real viewer: OHIF as npm publishes it, in headless Chromium, driven over a pipe."""

import fcntl
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from parts.programs import program
from parts.waiting import PATIENCE_S

__all__ = ["Ohif"]

VIEWERS = Path(__file__).resolve().parents[1] / "viewers"
LOCK = VIEWERS / "package-lock.json"
INSTALLED = VIEWERS / "node_modules" / ".package-lock.json"
"""npm writes it last."""


@dataclass
class Ohif:
    """Started and stopped by the test that needs it; one page of one browser at a time."""

    root: Path
    pacs: str
    """Address of an Orthanc that speaks DICOMweb."""
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """Start Node, which serves OHIF on loopback and starts the browser."""
        node, chromium = program("node"), program("chromium")
        _install()
        self.root.mkdir()
        profile = self.root / "profile"
        profile.mkdir()
        with (self.root / "ohif.log").open("wb") as log:
            self.process = subprocess.Popen(
                [node, str(VIEWERS / "ohif.mjs"), self.pacs, chromium, str(profile)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._answer()

    def stop(self) -> None:
        """End Node's input: it closes the browser and goes. If it does not, it is ended."""
        if self.process is None:
            return
        with self.process as process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.terminate()  # puppeteer ends its browser on this signal

    def ask(self, task: str, **request: Any) -> dict[str, Any]:
        """Have one task of ``ohif.mjs`` done; a script error of the page fails the test."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"task": task, **request}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        assert "failed" not in answer, answer
        assert answer["scriptErrors"] == []
        return answer

    def colours(self, points: NDArray[np.intp], picture: Path) -> NDArray[np.float64]:
        """RGB, (N, 3), that the page shows at pixels (N, 2) of the image, from a screenshot."""
        places = self.ask("picture", points=points.tolist(), path=str(picture))["places"]
        with Image.open(picture) as opened:
            shown = np.asarray(opened.convert("RGB"), np.float64)
        columns, rows = np.asarray(places).astype(int).T
        return np.asarray(shown[rows, columns])

    def _answer(self) -> dict[str, Any]:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"OHIF's server ended: {(self.root / 'ohif.log').read_text()}"
        answer: dict[str, Any] = json.loads(line)
        return answer


def _install() -> None:
    """Install what the lock names, unless it is there.

    The lock holds @ohif/app without its dependencies: what it publishes is built, and some of the
    packages that it was built from are not published.
    """
    npm = program("npm")
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one run installs, the others then find it there
        _install_once(npm)


def _install_once(npm: str) -> None:
    if INSTALLED.exists() and INSTALLED.stat().st_mtime >= LOCK.stat().st_mtime:
        return
    try:
        subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=VIEWERS,
            env={**os.environ, "PUPPETEER_SKIP_DOWNLOAD": "1"},
            capture_output=True,
            check=True,
            text=True,
            timeout=PATIENCE_S,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failure:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"needs OHIF from npm: {failure}")
