"""A ledger as this program needs it: made new, upgraded, or refused where it is of a later one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from sqlalchemy import Connection, insert, inspect, select, text

from dicomnode.errors import StoreError
from dicomnode.named import Named
from dicomnode.store.schema import LEDGER_SCHEMA, alembic_version, exams, metadata, schema_version

__all__ = ["LaterLedgerError", "prepare", "standing", "tables_may_be_replaced"]

Standing = Literal["new", "earlier", "ready"]

_REVISIONS = Named("dicomnode.store.migrations:revisions")
_UPGRADE = Named("dicomnode.store.migrations:upgrade")
_BEFORE_ALEMBIC = "0001"
_LOCK = 0x64696E  # any number that every version of this program takes


class LaterLedgerError(StoreError):
    """A later version of the program has changed the ledger."""

    retryable = False


def standing(connection: Connection) -> Standing:
    """Say whether there is a ledger, and whether it is as this program needs it.

    Raises
    ------
    LaterLedgerError
        A later version has changed it.
    """
    found = _revision(connection)
    if found == LEDGER_SCHEMA:
        return "ready"
    if found is None and not inspect(connection).has_table(exams.name):
        return "new"
    if found is None:
        _expect_before_alembic(connection)
        return "earlier"
    if found in (known := _REVISIONS()):
        return "earlier"
    raise LaterLedgerError(
        f"expected a ledger of revision {known[0]} to {known[-1]}, found revision {found}",
        hint="a later version of the program has upgraded it: run that one, or put back the copy "
        "that was made before the upgrade",
    )


def prepare(connection: Connection, file: Path | None) -> None:
    """Make or upgrade the tables, in the caller's writing transaction: all of it or nothing.

    What was in the ``file`` is copied in it too: nobody writes, or upgrades, between the two.
    """
    if connection.dialect.name == "postgresql":  # SQLite's writers take turns anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = standing(connection)  # another process may have done it meanwhile
    if found == "new":
        metadata.create_all(connection)
        connection.execute(insert(schema_version).values(version=1))
        connection.execute(insert(alembic_version).values(version_num=LEDGER_SCHEMA))
    elif found == "earlier":
        if file is not None:
            _copy_before_upgrade(file)
        dangling = _dangling(connection)
        _UPGRADE(connection, is_of=None if _revision(connection) else _BEFORE_ALEMBIC)
        if _dangling(connection) > dangling:
            raise StoreError(
                f"expected the upgrade to {LEDGER_SCHEMA} to leave every row that another one "
                "names; the ledger is as it was"
            )


@contextmanager
def tables_may_be_replaced(connection: Connection) -> Iterator[None]:
    """Let a table go that others refer to: SQLite alters most things by making a table anew.

    It hears of that outside of transactions only (https://www.sqlite.org/lang_altertable.html, 7).
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection), "the only driver for it"
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _dangling(connection: Connection) -> int:
    """Count the rows that refer to none, as SQLite refuses none meanwhile."""
    if connection.dialect.name != "sqlite":
        return 0
    return len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())


def _copy_before_upgrade(file: Path) -> None:
    """Copy an SQLite ledger beside itself, whole, while nobody writes to it.

    Raises
    ------
    StoreError
        There is no room for it.
    """
    copy = file.with_name(f"{file.name}.before-{LEDGER_SCHEMA}")
    try:
        with TemporaryDirectory(dir=file.parent, prefix=f"{copy.name}-") as private:
            unfinished = Path(private) / copy.name
            with (
                closing(sqlite3.connect(file)) as source,
                closing(sqlite3.connect(unfinished)) as target,
            ):
                source.backup(target)
            unfinished.chmod(0o600)
            unfinished.rename(copy)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"could not copy the ledger to {copy} before its upgrade: {error}",
            hint="there must be room for it on the disk",
        ) from error


def _expect_before_alembic(connection: Connection) -> None:
    version = connection.scalar(select(schema_version.c.version))
    if version not in (None, 1):
        raise LaterLedgerError(
            f"expected a ledger of schema version 1, found {version}",
            hint="use the program that wrote it, or move the data directory away",
        )


def _revision(connection: Connection) -> str | None:
    """Read which revision a ledger is of; None of a new one, and of one from before alembic."""
    if not inspect(connection).has_table(alembic_version.name):
        return None
    return connection.scalar(select(alembic_version.c.version_num))
