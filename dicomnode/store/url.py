"""Address of a ledger, as SQLAlchemy writes it."""

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

__all__ = ["expect_kept", "sqlite_file", "sqlite_url"]


def sqlite_url(file: Path) -> str:
    """Write the URL of a file, whose name may hold what means something in a URL."""
    return URL.create("sqlite", database=str(file.absolute())).render_as_string()


def expect_kept(url: str) -> None:
    """Expect a URL of what survives a power cut, where SQLite takes the path of a file only.

    With arguments it opens what is in memory, without locks or elsewhere than its name says. A
    path that begins in the working directory is another ledger for whoever calls from elsewhere.

    Raises
    ------
    ValueError
        Says what was expected. The URL, which may hold a password, is not repeated.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(
            "expected sqlite:////FILE or postgresql+psycopg://USER@HOST:PORT/NAME"
        ) from None
    if parsed.get_backend_name() != "sqlite":
        return
    file = parsed.database or ""
    if parsed.query or not Path(file).is_absolute():
        raise ValueError(
            "expected a file by its whole path alone, such as sqlite:////var/lib/ledger.sqlite: "
            "a database in memory would keep nothing"
        )


def sqlite_file(url: str) -> Path | None:
    """Say which file a ledger is, or None where it is not one."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))
