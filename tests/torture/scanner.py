"""The sender whose word counts: what the node told it that it holds."""

import hashlib
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.filewriter import dcmwrite
from pydicom.uid import generate_uid

from parts.clips import small_clip
from torture.wire import Connection, LostError, connected

__all__ = ["Clip", "Scanner", "Study", "clip_of_bytes", "clip_of_file", "study"]


@dataclass(frozen=True, kw_only=True)
class Clip:
    """An instance as bytes, without file meta information."""

    uid: str
    sop_class: str
    study_uid: str
    syntax: str
    dataset: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.dataset).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Study:
    """Clips that belong together; the comment is for the stand-in."""

    uid: str
    comment: str
    clips: tuple[Clip, ...]


def study(count: int = 1, comment: str = "") -> Study:
    uid = generate_uid()
    clips = tuple(_small(uid, comment) for _ in range(count))
    return Study(uid=uid, comment=comment, clips=clips)


def clip_of_file(path: Path) -> Clip:
    return clip_of_bytes(path.read_bytes())


def clip_of_bytes(content: bytes) -> Clip:
    """Split a file: what its header says, and the bytes after the meta information (PS3.10 7.1)."""
    (meta_bytes,) = struct.unpack("<L", content[140:144])
    ds = dcmread(BytesIO(content), stop_before_pixels=True)
    return Clip(
        uid=str(ds.SOPInstanceUID),
        sop_class=str(ds.SOPClassUID),
        study_uid=str(ds.StudyInstanceUID),
        syntax=str(ds.file_meta.TransferSyntaxUID),
        dataset=content[144 + meta_bytes :],
    )


def _small(study_uid: str, comment: str) -> Clip:
    written = BytesIO()
    dcmwrite(written, small_clip(study_uid=study_uid, comment=comment), enforce_file_format=True)
    return clip_of_bytes(written.getvalue())


@dataclass
class Scanner:
    """Sends studies, and remembers which instances were acknowledged."""

    port: int
    studies: dict[str, Study] = field(default_factory=dict)
    acknowledged: dict[str, Clip] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def owes(self) -> list[Study]:
        """Studies of which not every clip was acknowledged."""
        return [
            one
            for one in self.studies.values()
            if any(clip.uid not in self.acknowledged for clip in one.clips)
        ]

    def add(self, *studies: Study) -> None:
        self.studies |= {one.uid: one for one in studies}

    def send(self, one: Study) -> list[int]:
        """Send over one association what was not acknowledged yet; the answers that came."""
        self.add(one)
        statuses: list[int] = []
        try:
            with connected(self.port) as connection:
                self._associate(connection, one.clips)
                left = [clip for clip in one.clips if clip.uid not in self.acknowledged]
                statuses.extend(self.store(connection, clip) for clip in left)
                connection.release()
        except (LostError, TimeoutError):
            pass
        return statuses

    def send_all(self, studies: Iterable[Study]) -> None:
        for one in studies:
            self.send(one)

    def store(self, connection: Connection, clip: Clip) -> int:
        """Send one clip over an association, and take the node's word."""
        status, _ = connection.store(clip.sop_class, clip.uid, clip.dataset)
        if status == 0:
            with self._lock:
                self.acknowledged[clip.uid] = clip
        return status

    def _associate(self, connection: Connection, clips: Sequence[Clip]) -> None:
        connection.associate([(clips[0].sop_class, clips[0].syntax)])
