"""The record of an exam's findings, kept whole beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table; exams that were analysed before have no record."""
    op.create_table(
        "records",
        sa.Column(
            "exam_id", sa.Integer, sa.ForeignKey("exams.id"), primary_key=True, autoincrement=False
        ),
        sa.Column("record", sa.JSON, nullable=False),
        if_not_exists=True,
    )
