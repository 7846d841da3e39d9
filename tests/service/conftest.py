"""Real parts for the node's tests: a node, a sender and a PACS, each a process on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

from dicomnode.store.ledger import Ledger

HERE = Path(__file__).parent
STORESCU = "/usr/bin/storescu"
STORESCP = "/usr/bin/storescp"
PATIENT = "DOE^JANE"
PATIENCE_S = 60


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, condition: Callable[[], Any]) -> Any:
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_S} s in vain until {what}")


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def write_clip(path: Path, *, study_uid: str | None = None, comment: str = "") -> Path:
    """A small US multi-frame instance; the comment tells the stand-in what to do."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = UltrasoundMultiFrameImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid or generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality = PATIENT, "4711", "US"
    ds.ImageComments = comment
    ds.NumberOfFrames, ds.Rows, ds.Columns, ds.SamplesPerPixel = 2, 8, 8, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = np.zeros((2, 8, 8), np.uint8).tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(path, ds, enforce_file_format=True)
    return path


@dataclass
class Site:
    """A node's settings and directories; nodes come and go, these stay."""

    root: Path
    port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    pacs_port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def settings(self) -> Path:
        return self.root / "node.toml"

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def pacs_dir(self) -> Path:
        return self.root / "pacs"

    def write_settings(
        self, *, timeout_s: float = 60.0, workers: int = 1, refusals: bool = False
    ) -> None:
        self.settings.write_text(f"""
[node]
data_dir = "{self.data_dir}"
port = {self.port}
workers = {workers}
analysis_timeout_s = {timeout_s}
[[accept]]
ae_title = "SCANNER1"
hosts = ["127.0.0.1"]
[[destination]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {self.pacs_port}
refusals = {str(refusals).lower()}
[settle]
quiet_s = 0.3
[delivery]
first_retry_s = 0.5
longest_retry_s = 1.0
[retention]
min_free_gib = 0.1
[web]
port = {self.web_port}
""")

    def start_node(self, **environment: str) -> "RunningNode":
        node = RunningNode(self, environment)
        self.processes.append(node.process)
        return node

    def start_pacs(self) -> "subprocess.Popen[str]":
        self.pacs_dir.mkdir(exist_ok=True)
        command = [STORESCP, "-aet", "PACS", "-od", str(self.pacs_dir), str(self.pacs_port)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True)
        self.processes.append(process)
        wait_until("the PACS listens", lambda: listens(self.pacs_port))
        return process

    def send(self, *paths: Path) -> None:
        address = ["-aet", "SCANNER1", "-aec", "CEUSNODE", "127.0.0.1", str(self.port)]
        done = subprocess.run(
            [STORESCU, *address, *map(str, paths)],
            env={**os.environ, "TCP_NODELAY": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr

    def received(self) -> list[Path]:
        return sorted(self.pacs_dir.glob("*.*"))

    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.data_dir}/ledger.sqlite")


class RunningNode:
    """A node's process and what it logged."""

    def __init__(self, site: Site, environment: dict[str, str]) -> None:
        self.site = site
        self.log = site.root / f"node-{len(site.processes)}.log"
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "run_node.py"), str(site.settings)],
                env={
                    **os.environ,
                    "PYTHONPATH": str(HERE),
                    "OMP_NUM_THREADS": "1",
                    "STAND_IN_MARKER": str(site.root / "marker-"),
                    **environment,
                },
                stderr=stream,
                text=True,
            )

    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n") and line[0] == "{"]

    def saw(self, event: str, **values: Any) -> dict[str, Any] | None:
        wanted = {"event": event, **values}
        return next((one for one in self.events() if wanted.items() <= one.items()), None)

    def wait_for(self, event: str, **values: Any) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            seen = self.saw(event, **values)
            assert seen or self.process.poll() is None, self.log.read_text()
            return seen

        return wait_until(f"the node logs {event} {values}", found)

    def ready(self) -> "RunningNode":
        self.wait_for("node.ready")
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    for program in (STORESCU, STORESCP):
        if not Path(program).exists():
            pytest.skip(f"needs {program} (Debian package dcmtk)")
    site = Site(tmp_path)
    site.write_settings()
    yield site
    for process in site.processes:
        process.kill()
        process.wait()


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "clip.dcm", **what: str) -> Path:
        return write_clip(tmp_path / name, **what)

    return write
