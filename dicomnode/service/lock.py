"""One process owns a data directory."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from dicomnode.errors import SettingsError

__all__ = ["DirectoryLock"]


class DirectoryLock:
    """An advisory lock that the kernel drops with its process, however that ends."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock, or say who has it."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise SettingsError(
                f"expected to be the only node with data_dir {self._path.parent}, "
                f"but process {owner or 'unknown'} has it",
                hint="stop the other node, or give this one a data_dir of its own",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Let the next one have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"expected a data_dir to write in at {self._path.parent}: {error.strerror}"
            ) from error
