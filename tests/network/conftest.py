"""A receiver on a free loopback port, files to send to it, and DCMTK on the other side."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from dicomnode.network.peers import Accepted, Peer
from dicomnode.network.receive import Receiver, ReceiveSettings
from dicomnode.network.store_handler import OpenAssociation, Received
from parts.waiting import PATIENCE_S, free_port

US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
STUDY = "1.2.826.0.1.1"


@dataclass
class Inbox:
    """What a receiver handed over: file contents by SOP Instance UID, and the associations."""

    directory: Path
    kept: list[Received] = field(default_factory=list)
    opened: list[OpenAssociation] = field(default_factory=list)
    closed: list[OpenAssociation] = field(default_factory=list)
    error: Exception | None = None
    delay_s: float = 0.0

    def store(self, received: Received) -> None:
        time.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        shutil.copy(received.path, self.directory / f"{len(self.kept)}.dcm")
        self.kept.append(received)

    @property
    def uids(self) -> list[str]:
        return [received.header.sop_instance_uid for received in self.kept]

    def files(self) -> list[Path]:
        return sorted(self.directory.iterdir())


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    directory = tmp_path / "inbox"
    directory.mkdir()
    return Inbox(directory)


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    directory = tmp_path / "incoming"
    directory.mkdir()
    return directory


@pytest.fixture
def start(inbox: Inbox, incoming: Path) -> Iterator[Callable[..., Receiver]]:
    """Start a receiver that accepts SCANNER1 from loopback, with settings changed by name."""
    started = []

    def start(on_commitment=None, on_rejected=None, **changed) -> Receiver:
        settings = {
            "ae_title": "CEUSNODE",
            "host": "127.0.0.1",
            "port": 0,
            "incoming": incoming,
            "accept": (Accepted(ae_title="SCANNER1", hosts=("127.0.0.1",)),),
            "acse_timeout_s": PATIENCE_S,
            "min_free_bytes": 0,
        }
        receiver = Receiver(
            ReceiveSettings(**settings | changed),
            on_store=inbox.store,
            on_opened=inbox.opened.append,
            on_closed=inbox.closed.append,
            on_rejected=on_rejected,
            on_commitment=on_commitment,
        )
        receiver.start()
        started.append(receiver)
        return receiver

    yield start
    for receiver in started:
        receiver.stop(grace_s=5.0)


@pytest.fixture
def peer_of() -> Callable[..., Peer]:
    """The receiver as a peer to send to."""

    def peer(receiver: Receiver, **changed) -> Peer:
        return Peer(
            **{"name": "node", "ae_title": "CEUSNODE", "host": "127.0.0.1"}
            | {"port": receiver.port}
            | changed
        )

    return peer


@pytest.fixture
def us_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a US Multi-frame instance; its pixels are not looked at here."""

    def write(
        number: int = 1,
        *,
        size_bytes: int = 10_000,
        syntax: str = ExplicitVRLittleEndian,
        sop_class: str = US_MULTI_FRAME,
        **elements: str,
    ) -> Path:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.SOPClassUID = sop_class
        dataset.SOPInstanceUID = f"{STUDY}.{number}"
        dataset.Modality = "US"
        dataset.PatientName = "SECRET^NAME"
        dataset.PatientID = "SECRETID"
        dataset.StudyInstanceUID = STUDY
        dataset.SeriesInstanceUID = f"{STUDY}.0"
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.BitsAllocated = 8
        pixels = bytes(size_bytes)
        dataset.PixelData = encapsulate([pixels]) if syntax == JPEGBaseline8Bit else pixels
        dataset["PixelData"].VR = "OB"
        path = tmp_path / f"{number}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@dataclass(frozen=True)
class StoreScp:
    """DCMTK's storescp and where it writes."""

    peer: Peer
    directory: Path


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[Callable[..., StoreScp]]:
    started = []

    def listen(directory: Path, options: tuple[str, ...]) -> int | None:
        port = free_port()
        process = subprocess.Popen(
            ["/usr/bin/storescp", "-aet", "PACS", "-od", directory, *options, str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        wait_until(lambda: process.poll() is not None or answers(port))
        return port if process.poll() is None else None

    def start(*options: str) -> StoreScp:
        directory = tmp_path / f"pacs{len(started)}"
        directory.mkdir()
        # Another program may take the free port first; storescp ends, and another one is tried.
        port = next(port for _ in range(5) if (port := listen(directory, options)) is not None)
        peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
        return StoreScp(peer, directory)

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def dcmtk() -> Callable[..., subprocess.CompletedProcess]:
    """Run a DCMTK client against a receiver."""

    def run(program: str, receiver: Receiver, *arguments, calling="SCANNER1", called="CEUSNODE"):
        return subprocess.run(
            [
                f"/usr/bin/{program}",
                *("-v", "-aet", calling, "-aec", called, "127.0.0.1", str(receiver.port)),
                *map(str, arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    return run


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until


def wait_until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Wait for something that another thread or process does."""
    event = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        event.wait(0.02)


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
