"""The ledger's tables. Portable between SQLite and PostgreSQL."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "LEDGER_SCHEMA",
    "alembic_version",
    "association_studies",
    "associations",
    "deliveries",
    "exams",
    "instances",
    "metadata",
    "open_associations",
    "outputs",
    "records",
    "rejections",
    "schema_version",
]

LEDGER_SCHEMA = "0005"
"""The newest revision below migrations/versions: every change of a table is one."""

metadata = MetaData()

_UID = String(64)  # PS3.5 9.1: at most 64 characters
_AE = String(16)  # PS3.5 6.2: AE, at most 16 bytes

schema_version = Table(
    "schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False)
)
"""Read by versions from before alembic, which a change that they cannot bear must raise."""

alembic_version = Table(
    "alembic_version", metadata, Column("version_num", String(32), primary_key=True)
)

associations = Table(
    "associations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("calling_ae", _AE, nullable=False),
    Column("host", String(64), nullable=False),
    Column("opened_at", Float(53), nullable=False),
    Column("closed_at", Float(53)),
)

_still_open = associations.c.closed_at.is_(None)
open_associations = Index(
    "open_associations", associations.c.id, sqlite_where=_still_open, postgresql_where=_still_open
)
"""Asked for every second, of a table that only grows."""

association_studies = Table(
    "association_studies",
    metadata,
    Column("association_id", String(64), primary_key=True),
    Column("study_uid", _UID, primary_key=True),
    Index("association_studies_by_study", "study_uid"),
)

rejections = Table(
    "rejections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("calling_ae", _AE, nullable=False),
    Column("called_ae", _AE, nullable=False),
    Column("host", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("last_at", Float(53), nullable=False),
    UniqueConstraint("calling_ae", "called_ae", "host", "reason"),
)

exams = Table(
    "exams",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_uid", _UID, nullable=False),
    Column("injection", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("reasons", JSON, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("replaces", ForeignKey("exams.id")),
    Column("job", String(128)),
    Column("attempt", Integer, nullable=False),
    Column("calling_ae", _AE, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("changed_at", Float(53), nullable=False),
    Column("last_instance_at", Float(53), nullable=False),
    UniqueConstraint("study_uid", "injection", "revision"),
)

records = Table(
    "records",
    metadata,
    Column("exam_id", ForeignKey("exams.id"), primary_key=True, autoincrement=False),
    Column("record", JSON, nullable=False),
)
"""What was found in an exam, whole; lists read its summary beside the exam."""

instances = Table(
    "instances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", _UID, nullable=False),
    Column("variant", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("sop_class_uid", _UID, nullable=False),
    Column("study_uid", _UID, nullable=False, index=True),
    Column("series_uid", _UID, nullable=False),
    Column("transfer_syntax_uid", _UID, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("calling_ae", _AE, nullable=False),
    Column("host", String(64), nullable=False),
    Column("association_id", String(64), nullable=False),
    Column("received_at", Float(53), nullable=False),
    UniqueConstraint("sop_instance_uid", "variant"),
    UniqueConstraint("sop_instance_uid", "sha256"),
)

outputs = Table(
    "outputs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("exam_id", ForeignKey("exams.id"), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("path", Text, nullable=False),
    Column("sop_class_uid", _UID, nullable=False),
    Column("sop_instance_uid", _UID, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Float(53), nullable=False),
    UniqueConstraint("exam_id", "sop_instance_uid"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("output_id", ForeignKey("outputs.id"), nullable=False),
    Column("exam_id", ForeignKey("exams.id"), nullable=False, index=True),
    Column("destination", String(64), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Float(53), nullable=False),
    Column("code", String(16), nullable=False, server_default=""),
    Column("error", Text, nullable=False),
    Column("receipt", _UID),
    Column("changed_at", Float(53), nullable=False),
    UniqueConstraint("output_id", "destination"),
)
