"""One node owns a data directory, and one node owns a ledger."""

import fcntl
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    delete,
    func,
    insert,
    make_url,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from dicomnode.errors import SettingsError, StoreError
from dicomnode.store.database import POSTGRESQL_PATIENCE

__all__ = ["Lock", "database_lock", "directory_lock"]

_KEY = int.from_bytes(b"dicomnod")
"""Names the advisory lock in a database of PostgreSQL."""

_SESSION = (
    # A server that is not told so keeps the lock of a machine that lost power for two hours.
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)

_owner = Table("owner", MetaData(), Column("id", Integer, primary_key=True), Column("words", Text))
"""Who has the lock, for the error of whom it keeps out; true only while the lock is held."""


class Lock(AbstractContextManager["Lock"], Protocol):
    """Held from ``with`` to the end of its block, and no longer than its process lives."""

    def keep(self) -> None:
        """Make sure that it is still held.

        Raises
        ------
        SettingsError
            When another node has it now: this one must end.
        StoreError
            When nobody can say, because the database does not answer.
        """


def directory_lock(data_dir: Path) -> Lock:
    """Make the lock of a data directory."""
    return _FileLock(data_dir / "lock", data_dir, f"data_dir {data_dir}")


def database_lock(url: str, data_dir: Path) -> Lock:
    """Make the lock of a ledger: in its PostgreSQL, or in a file beside that of SQLite."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _AdvisoryLock(url, data_dir)
    path = Path(parsed.database or "").resolve()
    return _FileLock(path.with_name(f"{path.name}.lock"), data_dir, f"database {path}")


class _FileLock:
    """An advisory lock that the kernel drops with its process, however that ends.

    A file that somebody removed lets another node in by a new one. So that one is taken too, and
    where the other node was faster, this one learns it and has to end.
    """

    def __init__(self, path: Path, data_dir: Path, what: str) -> None:
        self._path = path
        self._data_dir = data_dir
        self._what = what
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock, or say who has it."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = self._take()
        except OSError as error:
            raise SettingsError(
                f"expected a directory to write in at {self._path.parent}: {error.strerror}"
            ) from error
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

    def keep(self) -> None:
        """Look whether the file is still there; where it is not, take the lock by another."""
        assert self._descriptor is not None, "it was taken"
        try:
            if self._is_in_place(self._descriptor):
                return
            removed, self._descriptor = self._descriptor, self._take()
        except OSError as error:
            raise StoreError(
                f"expected the lock of {self._what} at {self._path}: {error.strerror}"
            ) from error
        os.close(removed)

    def _is_in_place(self, descriptor: int) -> bool:
        return self._path.exists() and os.path.samestat(os.fstat(descriptor), self._path.stat())

    def _take(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 4096, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise _taken(self._what, owner) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _words(self._data_dir).encode(), 0)
        return descriptor


class _AdvisoryLock:
    """A lock of PostgreSQL that ends with its connection, which lives as long as the node.

    A connection that is lost lets another node in. So it is made anew, and where that one was
    faster, this node learns it and has to end.
    """

    def __init__(self, url: str, data_dir: Path) -> None:
        self._what = f"database {make_url(url).render_as_string(hide_password=True)}"
        self._data_dir = data_dir
        self._connection: Connection | None = None
        self._engine = create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            connect_args=dict(POSTGRESQL_PATIENCE),
        )

    def __enter__(self) -> Self:
        """Take the lock, or say who has it."""
        self._asked(self._take)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Let the next one have it."""
        self._drop()

    def keep(self) -> None:
        """Use the connection; where it is lost, take the lock over another."""
        if self._connection is not None:
            with suppress(StoreError):
                self._asked(self._ask)
                return
            self._drop()
        self._asked(self._take)

    def _ask(self) -> None:
        assert self._connection is not None, "there is one to ask over"
        self._connection.execute(select(1))

    def _take(self) -> None:
        connection = self._connection = self._engine.connect()
        for setting in _SESSION:
            connection.exec_driver_sql(setting)
        if not connection.scalar(select(func.pg_try_advisory_lock(_KEY))):
            owner = _who(connection)
            self._drop()
            if owner == _words(self._data_dir):
                raise StoreError(
                    f"expected {self._what} to have let go of a connection of this very process "
                    "that was lost",
                    hint="its server notices within a minute",
                )
            raise _taken(self._what, owner)
        _owner.create(connection, checkfirst=True)
        connection.execute(delete(_owner))
        connection.execute(insert(_owner).values(id=1, words=_words(self._data_dir)))

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(DBAPIError):
                self._connection.close()
            self._connection = None

    def _asked(self, question: Callable[[], None]) -> None:
        try:
            question()
        except DBAPIError as error:
            self._drop()
            raise StoreError(
                f"expected an answer from {self._what}: {error.orig}",
                hint="check that it runs, and what it says of this node's user",
            ) from error


def _who(connection: Connection) -> str:
    with suppress(DBAPIError):  # it may have the lock and not yet have said so
        return connection.scalar(select(_owner.c.words)) or ""
    return ""


def _words(data_dir: Path) -> str:
    return f"process {os.getpid()} on {socket.gethostname()} with data_dir {data_dir}"


def _taken(what: str, owner: str) -> SettingsError:
    return SettingsError(
        f"expected to be the only node with {what}, but {owner or 'an unknown process'} has it",
        hint="stop the other node, or give this one a data_dir and a database of its own",
    )
