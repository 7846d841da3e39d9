"""The associations of which no end is known have an index: they are asked for every second."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

STILL_OPEN = sa.text("closed_at IS NULL")


def upgrade() -> None:
    """Make the index where a version from before alembic did not."""
    op.create_index(
        "open_associations",
        "associations",
        ["id"],
        sqlite_where=STILL_OPEN,
        postgresql_where=STILL_OPEN,
        if_not_exists=True,
    )
