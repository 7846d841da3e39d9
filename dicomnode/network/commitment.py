"""Storage commitment, push model (PS3.4 Annex J): ask a peer to keep what it has stored."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog
from pydicom import Dataset
from pynetdicom import build_context
from pynetdicom.events import Event
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicomnode.errors import RejectedError, UnreachableError
from dicomnode.network.association import associate
from dicomnode.network.peers import Peer

__all__ = ["CommitmentResult", "answer_report", "request"]

log = structlog.get_logger(__name__)

_REQUEST_COMMITMENT = 1  # PS3.4 J.3.2: Action Type ID
_PROCESSING_FAILURE = 0x0110

_FAILURE_REASONS = {
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0119: "class-instance conflict",
    0x0122: "SOP class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}
"""FailureReason (0008,1197), PS3.3 C.14.1.1."""


@dataclass(frozen=True, kw_only=True)
class CommitmentResult:
    """What a peer took responsibility for, and why not the rest (UID to words)."""

    transaction_uid: str
    committed: tuple[str, ...]
    failed: Mapping[str, str]


def request(
    instances: Iterable[tuple[str, str]], peer: Peer, *, calling_ae: str, transaction_uid: str
) -> None:
    """Ask for commitment by N-ACTION. The answer comes to the receiver, later.

    Parameters
    ----------
    instances : iterable of (str, str)
        SOP Class UID and SOP Instance UID.
    transaction_uid : str
        Names the request; the answer repeats it.
    """
    with associate(peer, calling_ae, [build_context(StorageCommitmentPushModel)]) as assoc:
        answer, _ = assoc.send_n_action(
            _action_information(instances, transaction_uid),
            _REQUEST_COMMITMENT,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
    if "Status" not in answer:
        raise UnreachableError(f"{peer} gave no answer to the storage commitment request")
    if answer.Status != 0x0000:
        raise RejectedError(f"{peer} refused storage commitment with 0x{answer.Status:04X}")


def answer_report(event: Event, on_commitment: Callable[[CommitmentResult], None]) -> int:
    """Handle an N-EVENT-REPORT: pass its content on, and give the status to answer with."""
    try:
        on_commitment(_result(event.event_information))
    except Exception:
        log.exception("commitment.not_recorded")
        return _PROCESSING_FAILURE
    return 0x0000


def _action_information(instances: Iterable[tuple[str, str]], transaction_uid: str) -> Dataset:
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = [_reference(*instance) for instance in instances]
    return information


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    return reference


def _result(information: Dataset) -> CommitmentResult:
    committed = information.get("ReferencedSOPSequence", [])
    failed = information.get("FailedSOPSequence", [])
    return CommitmentResult(
        transaction_uid=str(information.TransactionUID),
        committed=tuple(str(item.ReferencedSOPInstanceUID) for item in committed),
        failed={str(item.ReferencedSOPInstanceUID): _why(item) for item in failed},
    )


def _why(item: Dataset) -> str:
    code = int(item.get("FailureReason", 0x0110))
    return f"0x{code:04X} {_FAILURE_REASONS.get(code, 'not given in PS3.3 C.14.1.1')}"
