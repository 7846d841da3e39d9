"""Sending: several files over one association, each with its own answer."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.errors import DicomnodeError, NetworkError, UnreachableError, printable
from dicomnode.network.association import associate
from dicomnode.network.pace import keep_pace
from dicomnode.network.peers import Peer
from dicomnode.network.statuses import Verdict, classify

__all__ = ["Rewrite", "Sent", "echo", "send"]

Rewrite = Callable[[Path, str], AbstractContextManager[Path]]
"""Gives a copy of a file in another transfer syntax, there for as long as it is sent."""

_UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
_CONTEXTS_PER_ASSOCIATION = 128  # PS3.8 9.3.2.2: odd identifiers from 1 to 255
_CONTEXTS_PER_FILE = 2
_COMMENT_LENGTH = 64  # PS3.5 6.2: ErrorComment (0000,0902) is an LO


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of one file. ``status`` is None when the peer gave no answer."""

    path: Path
    sop_instance_uid: str
    status: int | None
    verdict: Verdict
    reason: str

    def __post_init__(self) -> None:
        """Keep to one line: the reason may quote the peer's comment."""
        object.__setattr__(self, "reason", printable(self.reason))


@dataclass(frozen=True, kw_only=True)
class _Object:
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    syntaxes: tuple[str, ...]
    """In which transfer syntaxes it may travel, preferred first."""

    @property
    def is_compressed(self) -> bool:
        return self.transfer_syntax_uid not in _UNCOMPRESSED

    def sent(self, verdict: Verdict, reason: str, status: int | None = None) -> Sent:
        return Sent(
            path=self.path,
            sop_instance_uid=self.sop_instance_uid,
            status=status,
            verdict=verdict,
            reason=reason,
        )


def send(
    paths: Sequence[Path], peer: Peer, *, calling_ae: str, rewrite: Rewrite | None = None
) -> tuple[Sent, ...]:
    """Send files by C-STORE, as they are on disk, and classify each answer.

    Every file has an answer, whatever goes wrong: a peer that cannot be reached gives "later"
    for all. A file is sent in its own transfer syntax; an uncompressed one also as Implicit VR
    Little Endian, which every peer must take (PS3.5 10.1). With ``rewrite`` nothing compressed
    is sent: it is called for each compressed file when its turn has come and the peer takes it.
    """
    answers: dict[Path, Sent] = {}
    objects: list[_Object] = []
    for path in paths:
        item = _identify(path, compressed=rewrite is None)
        if isinstance(item, Sent):
            answers[path] = item
        else:
            objects.append(item)
    for batch in _batches(objects):
        answers |= {sent.path: sent for sent in _send_batch(batch, peer, calling_ae, rewrite)}
    return tuple(answers[path] for path in paths)


def echo(peer: Peer, *, calling_ae: str) -> None:
    """Verify that a peer answers a C-ECHO; raise why when it does not."""
    with associate(peer, calling_ae, [build_context(Verification)]) as assoc:
        answer = assoc.send_c_echo()
        status = answer.get("Status")
        if status != 0x0000:
            raise UnreachableError(f"expected C-ECHO status 0x0000 from {peer}, got {status!r}")


def _identify(path: Path, *, compressed: bool = True) -> _Object | Sent:
    try:
        meta = read_file_meta_info(path)
        return _Object(
            path=path,
            sop_class_uid=meta.MediaStorageSOPClassUID,
            sop_instance_uid=meta.MediaStorageSOPInstanceUID,
            transfer_syntax_uid=meta.TransferSyntaxUID,
            syntaxes=_syntaxes(meta.TransferSyntaxUID, compressed=compressed),
        )
    except (OSError, InvalidDicomError, AttributeError) as error:
        reason = f"expected a DICOM file with meta information in {path.name}: {error}"
        return Sent(path=path, sop_instance_uid="", status=None, verdict="never", reason=reason)


def _batches(objects: Sequence[_Object]) -> Iterable[Sequence[_Object]]:
    """Split so that the contexts of each part fit one association."""
    size = _CONTEXTS_PER_ASSOCIATION // _CONTEXTS_PER_FILE
    return (objects[start : start + size] for start in range(0, len(objects), size))


def _send_batch(
    batch: Sequence[_Object], peer: Peer, calling_ae: str, rewrite: Rewrite | None
) -> list[Sent]:
    answers: list[Sent] = []
    try:
        with associate(peer, calling_ae, _contexts(batch)) as assoc:
            keep_pace(assoc)
            for number, item in enumerate(batch, start=1):
                answers.append(_send_one(assoc, item, peer, number, rewrite))
    except NetworkError as error:
        verdict: Verdict = "later" if error.retryable else "never"
        answers += [item.sent(verdict, str(error)) for item in batch[len(answers) :]]
    return answers


def _contexts(batch: Sequence[_Object]) -> list[PresentationContext]:
    wanted = {(item.sop_class_uid, syntax): None for item in batch for syntax in item.syntaxes}
    return [build_context(sop_class, syntax) for sop_class, syntax in wanted]


def _syntaxes(stored: str, *, compressed: bool) -> tuple[str, ...]:
    """In which transfer syntaxes a file may travel; ``compressed`` when one may be so."""
    if stored == ExplicitVRLittleEndian or not (compressed or stored in _UNCOMPRESSED):
        return (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    return (stored,)


def _send_one(
    assoc: Association, item: _Object, peer: Peer, number: int, rewrite: Rewrite | None
) -> Sent:
    """Send one file, or raise that the association was lost with this file and those after it."""
    _expect_established(assoc, peer)
    accepted = {
        str(context.transfer_syntax[0])
        for context in assoc.accepted_contexts
        if context.abstract_syntax == item.sop_class_uid
    }
    syntax = next((one for one in item.syntaxes if one in accepted), None)
    if syntax is None:
        return item.sent("never", _not_accepted(item, peer))
    try:
        with _content(item, syntax, rewrite) as content:
            # It took its time, and the peer may have lost patience.
            _expect_established(assoc, peer)
            answer = assoc.send_c_store(content, msg_id=number)
    except DicomnodeError as error:
        return item.sent("later" if error.retryable else "never", str(error))
    except (OSError, RuntimeError) as error:  # the file is gone, or the association this instant
        return item.sent("later", f"{type(error).__name__}: {error}")
    if "Status" not in answer:
        # The library may not have noticed yet; it would wait in vain for the next.
        raise UnreachableError(f"{peer} gave no answer to a C-STORE, the association was lost")
    comment = str(answer.get("ErrorComment", ""))[:_COMMENT_LENGTH]
    return _classified(item, int(answer.Status), comment)


def _expect_established(assoc: Association, peer: Peer) -> None:
    if not assoc.is_established:
        raise UnreachableError(f"the association with {peer} was lost")


def _not_accepted(item: _Object, peer: Peer) -> str:
    syntaxes = " or ".join(UID(syntax).name for syntax in item.syntaxes)
    reason = f"{peer} accepts no {UID(item.sop_class_uid).name} in {syntaxes}"
    if item.is_compressed and item.transfer_syntax_uid in item.syntaxes:
        return f'{reason} (a [[destination]] with transfer_syntax = "uncompressed" gets it plain)'
    return reason


def _content(
    item: _Object, syntax: str, rewrite: Rewrite | None
) -> AbstractContextManager[Path | Dataset]:
    """Give what is sent: the file's bytes where they are in this transfer syntax already."""
    if syntax == item.transfer_syntax_uid:
        return nullcontext(item.path)
    if not item.is_compressed:
        return nullcontext(dcmread(item.path))
    assert rewrite is not None, "without it a compressed file travels as it is"
    return rewrite(item.path, syntax)


def _classified(item: _Object, status: int, comment: str) -> Sent:
    rule = classify(status)
    reason = f"0x{status:04X} {rule.meaning} ({rule.source})"
    return item.sent(rule.verdict, f"{reason}: {comment}" if comment else reason, status)
