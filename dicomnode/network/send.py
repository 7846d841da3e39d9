"""Sending: several files over one association, each with its own answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.errors import NetworkError, UnreachableError
from dicomnode.network.association import associate
from dicomnode.network.peers import Peer
from dicomnode.network.statuses import Outcome, judge

__all__ = ["Sent", "echo", "send"]

_CONTEXTS_PER_ASSOCIATION = 128  # PS3.8 9.3.2.2: odd identifiers from 1 to 255
_CONTEXTS_PER_FILE = 2


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of one file. ``status`` is None when the peer gave no answer."""

    path: Path
    sop_instance_uid: str
    status: int | None
    outcome: Outcome
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Object:
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str

    def sent(self, outcome: Outcome, reason: str, status: int | None = None) -> Sent:
        return Sent(
            path=self.path,
            sop_instance_uid=self.sop_instance_uid,
            status=status,
            outcome=outcome,
            reason=reason,
        )


def send(paths: Sequence[Path], peer: Peer, *, calling_ae: str) -> tuple[Sent, ...]:
    """Send files by C-STORE, as they are on disk, and judge each answer.

    Every file has an answer, whatever goes wrong: a peer that cannot be reached gives "retry"
    for all. A file is sent in its own transfer syntax; an uncompressed one also as Implicit VR
    Little Endian, which every peer must take (PS3.5 10.1).
    """
    answers: dict[Path, Sent] = {}
    objects: list[_Object] = []
    for path in paths:
        item = _identify(path)
        if isinstance(item, Sent):
            answers[path] = item
        else:
            objects.append(item)
    for batch in _batches(objects):
        answers |= {sent.path: sent for sent in _send_batch(batch, peer, calling_ae)}
    return tuple(answers[path] for path in paths)


def echo(peer: Peer, *, calling_ae: str) -> None:
    """Verify that a peer answers a C-ECHO; raise why when it does not."""
    with associate(peer, calling_ae, [build_context(Verification)]) as assoc:
        answer = assoc.send_c_echo()
        status = answer.get("Status")
        if status != 0x0000:
            raise UnreachableError(f"expected C-ECHO status 0x0000 from {peer}, got {status!r}")


def _identify(path: Path) -> _Object | Sent:
    try:
        meta = read_file_meta_info(path)
        return _Object(
            path=path,
            sop_class_uid=meta.MediaStorageSOPClassUID,
            sop_instance_uid=meta.MediaStorageSOPInstanceUID,
            transfer_syntax_uid=meta.TransferSyntaxUID,
        )
    except (OSError, InvalidDicomError, AttributeError) as error:
        reason = f"expected a DICOM file with meta information in {path.name}: {error}"
        return Sent(path=path, sop_instance_uid="", status=None, outcome="park", reason=reason)


def _batches(objects: Sequence[_Object]) -> Iterable[Sequence[_Object]]:
    """Split so that the contexts of each part fit one association."""
    size = _CONTEXTS_PER_ASSOCIATION // _CONTEXTS_PER_FILE
    return (objects[start : start + size] for start in range(0, len(objects), size))


def _send_batch(batch: Sequence[_Object], peer: Peer, calling_ae: str) -> list[Sent]:
    answers: list[Sent] = []
    try:
        with associate(peer, calling_ae, _contexts(batch)) as assoc:
            for number, item in enumerate(batch, start=1):
                answers.append(_send_one(assoc, item, peer, number))
                if answers[-1].status is None and answers[-1].outcome == "retry":
                    # The library may not have noticed yet; it would wait in vain for the next.
                    raise UnreachableError(f"the association with {peer} was lost before this file")
    except NetworkError as error:
        outcome: Outcome = "retry" if error.retryable else "park"
        answers += [item.sent(outcome, str(error)) for item in batch[len(answers) :]]
    return answers


def _contexts(batch: Sequence[_Object]) -> list[PresentationContext]:
    wanted = {(item.sop_class_uid, syntax): None for item in batch for syntax in _syntaxes(item)}
    return [build_context(sop_class, syntax) for sop_class, syntax in wanted]


def _syntaxes(item: _Object) -> tuple[str, ...]:
    """In which transfer syntaxes a file may travel, its own first."""
    if item.transfer_syntax_uid == ExplicitVRLittleEndian:
        return (item.transfer_syntax_uid, ImplicitVRLittleEndian)
    return (item.transfer_syntax_uid,)


def _send_one(assoc: Association, item: _Object, peer: Peer, number: int) -> Sent:
    if not assoc.is_established:
        return item.sent("retry", f"the association with {peer} was lost")
    accepted = {
        str(context.transfer_syntax[0])
        for context in assoc.accepted_contexts
        if context.abstract_syntax == item.sop_class_uid
    }
    if accepted.isdisjoint(_syntaxes(item)):
        return item.sent(
            "park",
            f"{peer} accepts no {item.sop_class_uid} in transfer syntax {item.transfer_syntax_uid}",
        )
    same_bytes = item.transfer_syntax_uid in accepted
    answer = assoc.send_c_store(item.path if same_bytes else dcmread(item.path), msg_id=number)
    if "Status" not in answer:
        return item.sent("retry", f"{peer} gave no answer to the C-STORE")
    return _judged(item, int(answer.Status), str(answer.get("ErrorComment", "")))


def _judged(item: _Object, status: int, comment: str) -> Sent:
    judgement = judge(status)
    reason = f"0x{status:04X} {judgement.meaning} ({judgement.source})"
    return item.sent(judgement.outcome, f"{reason}: {comment}" if comment else reason, status)
