"""A spool and its ledger belong together: files that no row names are not to be taken for none."""

from pathlib import Path

from sqlalchemy import make_url

from dicomnode.errors import StoreError
from dicomnode.store.spool import Spool

__all__ = ["expect_pair", "sqlite_file"]


def expect_pair(url: str, spool: Spool) -> None:
    """Expect a ledger where the spool holds received files; one in PostgreSQL is not looked at.

    An SQLite file is there, and not empty, before the first instance is kept.

    Raises
    ------
    StoreError
        When the ledger's file is gone: what was acknowledged would be forgotten in silence.
    """
    file = sqlite_file(url)
    if file is None or (file.exists() and file.stat().st_size > 0):
        return
    if any(path.is_file() for path in spool.objects.rglob("*")):
        found = "an empty file" if file.exists() else "none"
        raise StoreError(
            f"expected the ledger of the received files below {spool.objects} at {file}, "
            f"found {found}",
            hint="put a copy of the ledger back; or move the spool away, to begin anew, and send "
            "its files again",
        )


def sqlite_file(url: str) -> Path | None:
    """Say which file a ledger is, or None where it is not one."""
    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite") or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))
