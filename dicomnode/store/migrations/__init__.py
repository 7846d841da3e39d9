"""Migrations of a ledger that an earlier version made: each change is one revision.

Only what has something to change imports this room; see :mod:`dicomnode.store.prepare`.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

__all__ = ["revisions", "upgrade"]


def revisions() -> tuple[str, ...]:
    """Name every revision that this program knows, the oldest first."""
    script = ScriptDirectory.from_config(_config())
    return tuple(reversed([one.revision for one in script.walk_revisions()]))


def upgrade(connection: Connection, *, is_of: str | None) -> None:
    """Apply what a ledger lacks, in the transaction of its connection.

    Parameters
    ----------
    is_of : str, optional
        The revision that a ledger is of which says none itself.
    """
    config = _config()
    config.attributes["connection"] = connection
    if is_of is not None:
        command.stamp(config, is_of)
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
