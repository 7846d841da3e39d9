"""Rows of the ledger as the rest of the package sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from dicomnode.errors import Reason
from dicomnode.record.summary import Summary
from dicomnode.store.states import DeliveryState, ExamState

__all__ = [
    "DeliveryRow",
    "ExamRow",
    "Instance",
    "InstanceRow",
    "Output",
    "OutputRow",
    "Policy",
    "Recorded",
    "RejectionRow",
]

Policy = Literal["first", "last", "refuse"]
"""Which bytes to analyse when two differ under one SOP Instance UID."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance that lies in the spool and shall be recorded.

    ``path`` is relative to the spool's root; ``sha256`` is that of the dataset without the
    file meta information, in lower-case hexadecimal.
    """

    sop_instance_uid: str
    sop_class_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax_uid: str
    sha256: str
    size_bytes: int
    path: PurePosixPath
    calling_ae: str
    host: str
    association_id: str


@dataclass(frozen=True, kw_only=True)
class InstanceRow(Instance):
    """A recorded instance.

    ``variant`` is 0 for the first bytes under a UID, 1 and more for different bytes that came
    later; ``revision`` is the revision of the study that the instance belongs to.
    """

    id: int
    variant: int
    revision: int
    received_at: float


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What recording an instance found: its first copy, the same bytes again, or others."""

    outcome: Literal["first", "same", "different"]
    instance: InstanceRow
    exam_id: int
    new_revision: bool


@dataclass(frozen=True, kw_only=True)
class RejectionRow:
    """Associations of one kind that were turned away: who asked for whom, why, how often."""

    calling_ae: str
    called_ae: str
    host: str
    reason: str
    times: int
    last_at: float


@dataclass(frozen=True, kw_only=True)
class ExamRow:
    """One revision of one injection of a study.

    ``replaces`` is the id of the exam that this revision supersedes; ``job`` is the piece of
    work that took it; ``attempt`` counts the retries that a person asked for.
    """

    id: int
    study_uid: str
    injection: int
    revision: int
    state: ExamState
    reasons: tuple[Reason, ...]
    summary: Summary
    replaces: int | None
    job: str | None
    attempt: int
    calling_ae: str
    created_at: float
    changed_at: float
    last_instance_at: float


@dataclass(frozen=True, kw_only=True)
class Output:
    """A result object that lies in the spool and shall be recorded and delivered."""

    kind: str
    path: PurePosixPath
    sop_class_uid: str
    sop_instance_uid: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class OutputRow(Output):
    """A recorded result object."""

    id: int
    exam_id: int
    created_at: float


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """One output on its way to one destination. ``code`` is its last answer."""

    id: int
    exam_id: int
    destination: str
    state: DeliveryState
    attempts: int
    next_attempt_at: float
    code: str
    error: str
    receipt: str | None
    changed_at: float
    output: OutputRow


Destinations = Mapping[str, Sequence[str]]
"""Destination name to the kinds of output it wants."""
