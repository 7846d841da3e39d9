"""Services of the network room, as tables: what it offers, accepts and answers."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    Verification,
)

from conformance.exam import Case
from conformance.markdown import code, table
from dicomnode.dicom.exam.clip import ULTRASOUND
from dicomnode.network import admission, association, commitment, receive, send, store_handler
from dicomnode.network.entity import application_entity
from dicomnode.network.statuses import STATUSES, classify
from dicomnode.network.syntaxes import STORAGE_CLASSES
from dicomnode.syntaxes import SYNTAXES

__all__ = [
    "STORAGE_CLASSES",
    "acceptor",
    "answer_table",
    "commitment_table",
    "implementation_table",
    "offered_table",
    "rejection_table",
    "requestor",
    "role_table",
    "status_table",
    "storage_table",
    "syntax_table",
    "timeout_table",
]


def acceptor() -> AE:
    """Return the application entity that listens, with a node's default settings."""
    return receive._application_entity(_settings())


def requestor() -> AE:
    """Return the application entity that sends."""
    return application_entity("CEUSNODE")


def role_table(case: Case) -> str:
    """Return network services with SOP classes and roles."""
    produced = {str(each.SOPClassUID): None for each in case.objects.values()}
    rows: list[Sequence[str]] = [("Verification", *_named(Verification), "yes", "yes")]
    rows += [("Storage", *_named(uid), "yes", "yes") for uid in produced]
    others = len([uid for uid in STORAGE_CLASSES if uid not in produced])
    rows.append(("Storage", f"{others} other storage SOP classes", "annex A", "no", "yes"))
    rows.append(("Storage Commitment", *_named(StorageCommitmentPushModel), "yes", "no"))
    return table(("Service", "SOP class", "UID", "SCU", "SCP"), rows)


def storage_table() -> str:
    """Return every SOP class that is stored, and what becomes of it."""
    rows = [
        (
            *_named(uid),
            "kept; looked at for a contrast clip" if uid in ULTRASOUND else "kept",
        )
        for uid in STORAGE_CLASSES
    ]
    return table(("SOP class", "UID", "What becomes of it"), rows)


def syntax_table() -> str:
    """Return the transfer syntaxes of received objects, preferred first."""
    rows = [
        (number, *_named(syntax.uid), syntax.codec)
        for number, syntax in enumerate(SYNTAXES, start=1)
    ]
    return table(("Order", "Transfer syntax", "UID", "Frames are decoded as"), rows)


def offered_table(case: Case) -> str:
    """Return the presentation contexts that are proposed for each kind of output."""
    rows = [
        (kind, *_named(context.abstract_syntax or ""), _syntaxes(context), "SCU", "none")
        for kind, dataset in case.objects.items()
        for context in _offered(dataset)
    ]
    head = ("Output", "SOP class", "UID", "Transfer syntax", "Role", "Extended negotiation")
    return table(head, rows)


def implementation_table(case: Case) -> str:
    """Return implementation identity: in associations, and in files."""
    meta = next(iter(case.objects.values())).file_meta
    rows = [
        (f"associations, {role}", ae.implementation_class_uid, ae.implementation_version_name)
        for role, ae in (("acceptor", acceptor()), ("requestor", requestor()))
    ]
    rows.append(
        ("File Meta Information", meta.ImplementationClassUID, meta.ImplementationVersionName)
    )
    return table(("Where", "Implementation Class UID", "Implementation Version Name"), rows)


def timeout_table() -> str:
    """Return the times after which an association is given up."""
    listening, settings = acceptor(), _settings()
    rows = [
        ("acceptor", "TLS handshake", settings.acse_timeout_s),
        ("acceptor", "association request and release", listening.acse_timeout),
        ("acceptor", "silence on an association or within a message", listening.network_timeout),
        ("acceptor", "DIMSE message", listening.dimse_timeout),
        ("requestor", "TCP connection", association._CONNECT_TIMEOUT_S),
        ("requestor", "association response", association._ACSE_TIMEOUT_S),
        ("requestor", "DIMSE response", association._RESPONSE_TIMEOUT_S),
    ]
    return table(("Role", "Waits for", "Seconds"), [(*row[:2], f"{row[2]:g}") for row in rows])


def rejection_table() -> str:
    """Return why an association is rejected, with result, source and reason of PS3.8 9.3.4."""
    rows = [
        (each.reason, each.result, each.source, each.diagnostic)
        for each in vars(admission).values()
        if isinstance(each, admission.Rejection)
    ]
    return table(("Why", "Result", "Source", "Reason/Diag."), rows)


def answer_table() -> str:
    """Return the C-STORE statuses that this node answers with."""
    other = "the data set cannot be read, lacks a UID, or is another instance than was announced"
    rows = [
        (store_handler._SUCCESS, "the file is on disk and recorded, both flushed"),
        (
            store_handler._OUT_OF_RESOURCES,
            "too little free disk, or spool or ledger could not keep it: send it again later",
        ),
        (store_handler._CANNOT_UNDERSTAND, other),
        (store_handler._PROCESSING_FAILURE, "anything unexpected; see the log"),
    ]
    return table(("Status", "When"), [(f"0x{status:04X}", when) for status, when in rows])


def status_table() -> str:
    """Return the C-STORE statuses that this node receives and what it does."""
    words = {
        "delivered": "delivered",
        "later": "tried again later",
        "never": "parked for a person",
    }
    rows = [
        (_range(each.first, each.last), each.meaning, words[each.verdict], each.source)
        for each in STATUSES
    ]
    unknown = classify(0xFFFF)
    rows.append(("any other", unknown.meaning, words[unknown.verdict], unknown.source))
    return table(("Status", "Meaning", "The delivery is", "Source"), rows)


def commitment_table() -> str:
    """Return the failure reasons that are known in a storage commitment result."""
    rows = [(f"0x{reason:04X}", words) for reason, words in commitment._FAILURE_REASONS.items()]
    return table(("Failure Reason (0008,1197)", "Shown as"), rows)


def _settings() -> receive.ReceiveSettings:
    return receive.ReceiveSettings(
        ae_title="CEUSNODE", host="127.0.0.1", port=0, incoming=Path(), accept=()
    )


def _offered(dataset: Dataset) -> Iterable[PresentationContext]:
    """Return what the sender proposes for an object, from its file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return send._contexts([send._identify(path)])  # type: ignore[list-item]


def _syntaxes(context: PresentationContext) -> str:
    return ", ".join(f"{syntax.name} ({syntax})" for syntax in context.transfer_syntax or [])


def _named(uid: str) -> tuple[str, str]:
    return UID(uid).name, code(uid)


def _range(first: int, last: int) -> str:
    return f"0x{first:04X}" if first == last else f"0x{first:04X} to 0x{last:04X}"
