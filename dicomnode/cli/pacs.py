"""A stand-in for a PACS: it keeps what it is sent in a folder. For the demo only."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pydicom

from dicomnode.kinds import KINDS
from dicomnode.network.peers import Accepted
from dicomnode.network.receive import Received, Receiver, ReceiveSettings

__all__ = ["Item", "StandInPacs"]

_BY_DESCRIPTION = {kind.description: kind.name for kind in KINDS.values()}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One object the PACS holds."""

    kind: str
    study_uid: str
    description: str
    size_bytes: int
    path: Path


class StandInPacs:
    """A storage SCP on a free loopback port that keeps every object as a file."""

    def __init__(self, directory: Path) -> None:
        incoming = directory / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._items: list[Item] = []
        self._receiver = Receiver(
            ReceiveSettings(
                ae_title="PACS",
                host="127.0.0.1",
                port=0,
                incoming=incoming,
                accept=(Accepted(ae_title="CEUSNODE", hosts=("127.0.0.1",)),),
            ),
            on_store=self._keep,
            on_opened=lambda _association: None,
            on_closed=lambda _association: None,
        )

    def __enter__(self) -> Self:
        self._receiver.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._receiver.stop(grace_s=2.0)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._receiver.port

    def study_of(self, path: Path) -> str:
        """Study Instance UID of a file."""
        return str(pydicom.dcmread(path, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)

    def results(self, study_uid: str) -> list[Item]:
        """Everything it holds of a study, in order of arrival."""
        return [item for item in self._items if item.study_uid == study_uid]

    def kinds(self, study_uid: str) -> list[str]:
        """The kinds of output it holds of a study."""
        return [item.kind for item in self.results(study_uid)]

    def _keep(self, received: Received) -> None:
        kept = received.path.rename(self._directory / f"{received.header.sop_instance_uid}.dcm")
        header = pydicom.dcmread(kept, stop_before_pixels=True)
        description = str(header.get("SeriesDescription", ""))
        self._items.append(
            Item(
                kind=_BY_DESCRIPTION.get(description, "?"),
                study_uid=str(header.StudyInstanceUID),
                description=description,
                size_bytes=kept.stat().st_size,
                path=kept,
            )
        )
