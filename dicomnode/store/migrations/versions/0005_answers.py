"""A destination's answer as its protocol writes it, whichever that is."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Write C-STORE statuses in hexadecimal; a storage commitment's transaction is a receipt."""
    op.add_column("deliveries", sa.Column("code", sa.String(16), nullable=False, server_default=""))
    deliveries = sa.table("deliveries", sa.column("status", sa.Integer), sa.column("code"))
    known = sa.select(deliveries.c.status).where(deliveries.c.status.is_not(None)).distinct()
    connection = op.get_bind()
    for status in connection.scalars(known).all():
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.status == status)
            .values(code=f"0x{status:04X}")
        )
    op.drop_column("deliveries", "status")
    op.alter_column("deliveries", "transaction_uid", new_column_name="receipt")
