"""The tables of the first version that was landed."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

UID, AE, STATE = sa.String(64), sa.String(16), sa.String(16)


def upgrade() -> None:
    """Make them; a ledger from before alembic has them, and is said to be of this revision."""
    op.create_table(
        "schema_version",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    )
    op.create_table(
        "associations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("calling_ae", AE, nullable=False),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("opened_at", sa.Float(53), nullable=False),
        sa.Column("closed_at", sa.Float(53)),
    )
    op.create_table(
        "association_studies",
        sa.Column("association_id", sa.String(64), primary_key=True),
        sa.Column("study_uid", UID, primary_key=True),
        sa.Index("association_studies_by_study", "study_uid"),
    )
    op.create_table(
        "exams",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_uid", UID, nullable=False),
        sa.Column("injection", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", STATE, nullable=False, index=True),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("replaces", sa.Integer, sa.ForeignKey("exams.id")),
        sa.Column("job", sa.String(128)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("calling_ae", AE, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("changed_at", sa.Float(53), nullable=False),
        sa.Column("last_instance_at", sa.Float(53), nullable=False),
        sa.UniqueConstraint("study_uid", "injection", "revision"),
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sop_instance_uid", UID, nullable=False),
        sa.Column("variant", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("sop_class_uid", UID, nullable=False),
        sa.Column("study_uid", UID, nullable=False, index=True),
        sa.Column("series_uid", UID, nullable=False),
        sa.Column("transfer_syntax_uid", UID, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("calling_ae", AE, nullable=False),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("association_id", sa.String(64), nullable=False),
        sa.Column("received_at", sa.Float(53), nullable=False),
        sa.UniqueConstraint("sop_instance_uid", "variant"),
        sa.UniqueConstraint("sop_instance_uid", "sha256"),
    )
    op.create_table(
        "outputs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("exam_id", sa.Integer, sa.ForeignKey("exams.id"), nullable=False, index=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sop_class_uid", UID, nullable=False),
        sa.Column("sop_instance_uid", UID, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.UniqueConstraint("exam_id", "sop_instance_uid"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("output_id", sa.Integer, sa.ForeignKey("outputs.id"), nullable=False),
        sa.Column("exam_id", sa.Integer, sa.ForeignKey("exams.id"), nullable=False, index=True),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("state", STATE, nullable=False, index=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.Float(53), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("transaction_uid", UID),
        sa.Column("changed_at", sa.Float(53), nullable=False),
        sa.UniqueConstraint("output_id", "destination"),
    )
