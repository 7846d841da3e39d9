"""Files that survive a power cut: what was received, and what is to be delivered."""

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dicomnode.errors import InputError, StoreError
from dicomnode.store.content import dataset_sha256, expect_unchanged
from dicomnode.store.rows import Instance, Output

__all__ = ["Spool", "StoredFile"]

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")  # PS3.5 9.1, and nothing that means anything in a path
_UID_LENGTH = 64
_REMEMBERED = 1_000
"""Files and directories kept last, far more than may wait for their rows or be written to."""
_PRIVATE = 0o700  # patient data lies below, whatever the umask says
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file whose bytes and name are on the disk.

    ``path`` is relative to the spool's root; ``sha256`` is that of the dataset without the
    file meta information, which each sender and receiver writes differently.
    """

    path: PurePosixPath
    sha256: str
    size_bytes: int


class Spool:
    """A directory tree on one file system.

    ``incoming/`` holds what is being received, ``objects/`` what was kept, ``outputs/`` the
    results, ``work/`` what an analysis writes on the way.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.incoming = self.root / "incoming"
        self.objects = self.root / "objects"
        self.results = self.root / "outputs"
        self.work = self.root / "work"
        self._durable = _Latest()
        self._placed = _Latest()
        self._placing = threading.Lock()
        with _disk_errors(self.root):
            self.root.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            for directory in (self.incoming, self.objects, self.results, self.work):
                self._make_directory(directory)

    def keep(self, received: Path, *, study_uid: str, sop_instance_uid: str) -> StoredFile:
        """Make a received file durable and give it its name. File first, then the row.

        The name contains the content's hash: the same bytes give the same name however often
        they come, different bytes never overwrite each other.

        Raises
        ------
        InputError
            When a UID is not one (it becomes part of a path), or the file is not DICOM.
        """
        _expect_uid("StudyInstanceUID (0020,000D)", study_uid)
        _expect_uid("SOPInstanceUID (0008,0018)", sop_instance_uid)
        sha256 = dataset_sha256(received)
        directory = self.objects / _shard(study_uid) / study_uid
        target = directory / f"{sop_instance_uid}-{sha256[:16]}.dcm"
        size_bytes = received.stat().st_size
        with _disk_errors(target):
            self._make_directory(directory)
            self._place(received, target)
        return StoredFile(path=self._relative(target), sha256=sha256, size_bytes=size_bytes)

    def publish(self, exam: str, files: Mapping[str, Path]) -> dict[str, StoredFile]:
        """Make an exam's result files durable, so that their rows may be written.

        Parameters
        ----------
        exam : str
            Names the exam's folder, like "17-1" for its number and attempt.
        files : mapping
            Kind of output to a file in ``work/``; it is moved.
        """
        directory = self.results / _shard(_expect_name(exam)) / exam
        stored = {}
        for kind, path in files.items():
            target = directory / f"{_expect_name(kind)}.dcm"
            sha256, size_bytes = dataset_sha256(path), path.stat().st_size
            with _disk_errors(target):
                self._make_directory(directory)
                self._place(path, target)
            stored[kind] = StoredFile(
                path=self._relative(target), sha256=sha256, size_bytes=size_bytes
            )
        return stored

    def absolute(self, path: PurePosixPath) -> Path:
        """Say where a recorded path lies now."""
        return self.root / path

    def verified(self, recorded: Instance | Output) -> Path:
        """Say where a recorded file lies, having read that it is still what was kept.

        The dataset must have the recorded digest. The file meta information, which the digest
        leaves out, must name the same instance, and of what was received the transfer syntax.

        Raises
        ------
        DamagedError
            When the file is gone or has changed.
        StoreError
            When it cannot be read just now.
        """
        path = self.absolute(recorded.path)
        try:
            expect_unchanged(path, recorded)
        except OSError as error:
            raise StoreError(
                f"could not read {recorded.path} in the spool: {error.strerror}",
                hint="the spool must be readable by the node",
            ) from error
        return path

    def workspace(self, name: str) -> Path:
        """Make an empty directory for one piece of work; what a killed one left is removed."""
        directory = self.work / _expect_name(name)
        shutil.rmtree(directory, ignore_errors=True)
        with _disk_errors(directory):
            directory.mkdir(mode=_PRIVATE)
        return directory

    def sweep(self) -> int:
        """Remove what receiving left unfinished. Only at start, when nothing is received."""
        left = [path for path in self.incoming.iterdir() if path.is_file()]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def received_files(self) -> Iterator[PurePosixPath]:
        """Give every received file that was kept, recorded or not."""
        return self._files(self.objects)

    def result_files(self) -> Iterator[PurePosixPath]:
        """Give every result file that was kept, recorded or not."""
        return self._files(self.results)

    def _files(self, top: Path) -> Iterator[PurePosixPath]:
        for folder, _, names in os.walk(top):
            yield from (self._relative(Path(folder, name)) for name in names)

    def discard(self, path: PurePosixPath) -> bool:
        """Remove a file that no row names, unless it was kept again a moment ago.

        Its new row may be on its way to the ledger. False when the file stays.
        """
        target = self.absolute(path)
        with self._placing:
            if str(target) in self._placed:
                return False
            target.unlink(missing_ok=True)
        return True

    def free_bytes(self) -> int:
        """Measure the room left where files are received."""
        with _disk_errors(self.incoming):
            return shutil.disk_usage(self.incoming).free

    def _make_directory(self, directory: Path) -> None:
        """Make a directory below the root whose name survives a power cut.

        A directory that exists may have been made by a thread, or a killed process, that has
        not synced its name: each is synced by this process, those used of late once.
        """
        below_root = [one for one in directory.parents if one.is_relative_to(self.root)]
        for one in [*reversed(below_root), directory]:
            if one == self.root or (str(one) in self._durable and one.is_dir()):
                continue
            one.mkdir(mode=_PRIVATE, exist_ok=True)
            _sync(one.parent)
            self._durable.add(str(one))

    def _place(self, source: Path, target: Path) -> None:
        """Move ``source`` to ``target`` and return when both bytes and name are on the disk."""
        _sync(source)
        with self._placing:
            self._placed.add(str(target))
        source.replace(target)
        _sync(target.parent)

    def _relative(self, path: Path) -> PurePosixPath:
        return PurePosixPath(path.relative_to(self.root))


class _Latest:
    """The names that were added last, :data:`_REMEMBERED` of them; any thread may ask or add."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        with self._lock:
            self._names.pop(name, None)
            self._names[name] = None
            if len(self._names) > _REMEMBERED:
                del self._names[next(iter(self._names))]

    def __contains__(self, name: str) -> bool:
        return name in self._names


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"could not keep {path.name} in the spool: {error.strerror}",
            hint="the spool must be writable, on one file system, and not full",
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shard(name: str) -> str:
    """Give two characters that spread folders evenly, whatever the names have in common."""
    return hashlib.sha256(name.encode()).hexdigest()[:2]


def _expect_uid(what: str, uid: str) -> None:
    if len(uid) > _UID_LENGTH or not _UID.fullmatch(uid):
        raise InputError(
            "invalid-uid",
            f"expected a UID of digits and dots, at most 64 characters, in {what}, found {uid!r}",
        )


def _expect_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise StoreError(f"expected a name of small letters, digits, - and _, found {name!r}")
    return name
