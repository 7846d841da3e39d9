"""One way into SQLite or PostgreSQL, with the durability an acknowledgement needs."""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Table, create_engine, event, insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from dicomnode.errors import StoreError
from dicomnode.store.prepare import prepare, standing, tables_may_be_replaced
from dicomnode.store.url import sqlite_file

__all__ = [
    "POSTGRESQL_PATIENCE",
    "CollisionError",
    "Database",
    "NotFoundError",
    "insert_row",
    "named_errors",
    "sqlite_of_writers",
]

log = structlog.get_logger(__name__)

_CONNECTIONS = 10
"""Never one more for a moment: SQLite keeps the file of a closed one open as long as another is."""
_BUSY_TIMEOUT_MS = 10_000
_WRITERS_WAIT_S = 30.0
POSTGRESQL_PATIENCE: Mapping[str, int] = {
    "connect_timeout": 10,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""How long a server may be silent (libpq, 34.1.2); else a lost one is waited for by the hour."""
_STATEMENT_MS = 20_000
_KEPT_OPEN: dict[tuple[int, int], int] = {}
_MAGIC = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html, 1.3

_SMALL_CACHE = "PRAGMA cache_size = -256"  # KiB each; the system keeps the file for all of them

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",  # readers never wait for the writer
    "PRAGMA synchronous = FULL",  # a commit survives a power cut, not only a crash
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}",
    _SMALL_CACHE,
)


class CollisionError(StoreError):
    """Two writers wanted the same row; the later one should look again."""


class NotFoundError(StoreError):
    """A number that no row has."""

    retryable = False


class Database:
    """Holds the connection pool. The ledger's parts inherit ``_reading`` and ``_writing``.

    Parameters
    ----------
    url : str
        An SQLAlchemy URL: ``sqlite:////var/lib/dicomnode/ledger.sqlite`` or
        ``postgresql+psycopg://user@host/name``.
    """

    def __init__(self, url: str) -> None:
        self._engine = _open_engine(url)
        self._writer = self._engine.execution_options(writes=True)
        self._file = sqlite_file(url)
        self._identity: tuple[int, int] | None = None
        with ExitStack() as undo:
            undo.callback(self.close)
            self._prepare()
            if self._file is not None:
                self._identity, self._seen = _identity(self._file), _kept_open(self._file)
            undo.pop_all()

    def _prepare(self) -> None:
        with self._reading() as connection:
            if standing(connection) == "ready":
                return
        with (
            named_errors(),
            self._writer.connect() as connection,
            tables_may_be_replaced(connection),
            connection.begin(),
        ):
            prepare(connection, self._file)

    def open_all(self) -> None:
        """Open every connection there may be: what a service holds does not grow with its work."""
        with named_errors():
            _open_pool(self._engine)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with named_errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        self._expect_in_place()
        with named_errors(), self._writer.begin() as connection:
            yield connection
        self._expect_in_place()

    def _expect_in_place(self) -> None:
        """Expect the file that was opened: SQLite goes on writing to one that nobody can read."""
        if self._file is None or self._identity is None:
            return
        in_place = _identity(self._file) == self._identity
        if not in_place or os.pread(self._seen, len(_MAGIC), 0) != _MAGIC:
            raise StoreError(
                f"expected the ledger at {self._file}, but it was removed, replaced or overwritten "
                "since it was opened",
                hint="stop the node, put the ledger back, and start it again",
            )


def _identity(file: Path) -> tuple[int, int] | None:
    """Name a file as the system does, whatever its path; None when there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _kept_open(file: Path) -> int:
    """Open a ledger's file for looking at it, once and for the life of the process.

    Closing any descriptor of a file drops all locks that the process has on it, SQLite's too
    (https://www.sqlite.org/howtocorrupt.html, 2.2): another process would then take a ledger in
    use for one that nobody has, and remove what was written to it last.
    """
    identity = _identity(file)
    assert identity is not None, "the ledger was opened"
    if identity not in _KEPT_OPEN:
        _KEPT_OPEN[identity] = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    return _KEPT_OPEN[identity]


def insert_row(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Insert one row and give its number."""
    key = connection.execute(insert(table).values(dict(values))).inserted_primary_key
    assert key is not None, f"{table.name} numbers its rows"
    return int(key[0])


@contextmanager
def named_errors(what: str = "the ledger") -> Iterator[None]:
    """Give what a database refuses the name of what it is for, and say that it may pass."""
    try:
        yield
    except IntegrityError as error:
        raise CollisionError(f"{what} already holds such a row: {error.orig}") from error
    except OverflowError as error:  # SQLite's driver; a person may ask for any number
        raise NotFoundError(f"{what} has no row of so large a number") from error
    except DBAPIError as error:
        raise StoreError(
            f"{what} did not take a transaction: {error.orig}",
            hint="check the disk, and that the database answers",
        ) from error
    except PoolTimeoutError as error:
        raise StoreError(
            f"{what} did not take a transaction: all connections are in use",
            hint="check that the database answers",
        ) from error


def _open_pool(engine: Engine) -> None:
    """Open as many connections as a pool keeps; by itself it opens them when work piles up."""
    assert isinstance(engine.pool, QueuePool), "the others keep none"
    with ExitStack() as stack:
        for _ in range(engine.pool.size()):
            stack.enter_context(engine.connect())


def sqlite_of_writers(url: str, connections: int) -> Engine:
    """Open an SQLite file whose every transaction takes the write lock first, for others' tables.

    They hold no truth of their own: a damaged file is set aside, and a new one begun.

    Raises
    ------
    StoreError
        It cannot be opened.
    """
    waiting = {"timeout": _WRITERS_WAIT_S, "isolation_level": "IMMEDIATE"}
    engine = create_engine(
        url,
        connect_args=waiting,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # others log what fails as it is, results and all
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(_SMALL_CACHE)
        cursor.close()

    with named_errors("the engine's tables"):
        if _is_damaged(engine):
            engine.dispose()
            _set_aside(Path(str(engine.url.database)))
        _open_pool(engine)
    return engine


def _is_damaged(engine: Engine) -> bool:
    """Whether a file is no database, or one that contradicts itself (not one that is locked)."""
    try:
        with engine.connect() as connection:
            return bool(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok")
    except DBAPIError as error:
        if type(error.orig) is sqlite3.DatabaseError:  # its kinds have other causes
            return True
        raise


def _set_aside(file: Path) -> None:
    """Give a damaged file another name, and what SQLite would mend it by: no other is mended so."""
    for end in ("", "-journal", "-wal", "-shm"):
        part = file.with_name(file.name + end)
        if part.exists():
            part.replace(file.with_name(f"{file.name}.damaged{end}"))
    log.error("database.set_aside", file=str(file), kept_as=f"{file.name}.damaged")


def _open_engine(url: str) -> Engine:
    if url.startswith("sqlite"):
        engine = create_engine(url, pool_size=_CONNECTIONS, max_overflow=0)
        _make_durable(engine)
        return engine
    limits = f"-c statement_timeout={_STATEMENT_MS} -c lock_timeout={_STATEMENT_MS}"
    arguments = {**POSTGRESQL_PATIENCE, "options": limits}
    engine = create_engine(
        url,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args=arguments,
    )
    event.listens_for(engine, "connect")(_expect_synchronous)
    return engine


def _make_durable(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def set_pragmas(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        """Take the write lock first: a read that turns into a write cannot wait its turn."""
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _expect_synchronous(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """Have commits survive a power cut where the server would answer before they do."""
    cursor = connection.cursor()
    cursor.execute("SELECT current_setting('synchronous_commit')")
    if cursor.fetchone() == ("off",):
        cursor.execute("SET synchronous_commit TO on")
    cursor.close()
    connection.commit()
