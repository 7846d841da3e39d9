"""Answering C-STORE requests: "success" only when the caller has kept the file."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydicom import Dataset
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

from dicomnode.errors import DicomnodeError, InputError, StoreError
from dicomnode.network.header import Header, read_header

__all__ = ["OpenAssociation", "Received", "handle_store"]

log = structlog.get_logger(__name__)

_SUCCESS = 0x0000
_PROCESSING_FAILURE = 0x0110  # PS3.7 Annex C
_OUT_OF_RESOURCES = 0xA700  # PS3.4 Table B.2-1
_CANNOT_UNDERSTAND = 0xC000  # PS3.4 Table B.2-1


@dataclass(frozen=True, kw_only=True)
class OpenAssociation:
    """An accepted association, with a number that no other one has."""

    id: str
    calling_ae: str
    host: str


@dataclass(frozen=True, kw_only=True)
class Received:
    """An instance as it lies in ``incoming``: a complete DICOM file, not yet durable.

    The callback moves ``path`` away, or leaves it to be removed.
    """

    path: Path
    header: Header
    association: OpenAssociation


def handle_store(
    event: Event,
    association: OpenAssociation,
    on_store: Callable[[Received], None],
    *,
    min_free_bytes: int,
) -> Dataset:
    """Hand an instance over and answer with what came of it: here its errors end."""
    request = event.request
    assert isinstance(request, C_STORE), "bound to C-STORE"
    with structlog.contextvars.bound_contextvars(
        association=association.id,
        calling_ae=association.calling_ae,
        instance_uid=str(request.AffectedSOPInstanceUID),
    ):
        try:
            received = _received(event, request, association)
            _expect_room(received.path.parent, min_free_bytes)
            on_store(received)
        except InputError as error:
            return _refused(_CANNOT_UNDERSTAND, error.code, error)
        except DicomnodeError as error:
            return _refused(_OUT_OF_RESOURCES, "not kept", error)
        except Exception:
            log.exception("instance.not_kept")
            return _answer(_PROCESSING_FAILURE, "processing failure")
        return _answer(_SUCCESS)


def _received(event: Event, request: C_STORE, association: OpenAssociation) -> Received:
    path = event.dataset_path
    header = read_header(
        path,
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
    )
    return Received(path=path, header=header, association=association)


def _expect_room(directory: Path, min_free_bytes: int) -> None:
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < min_free_bytes:
        raise StoreError(
            f"expected {min_free_bytes} bytes free for receiving, found {free_bytes}",
            hint="make room on the disk, or lower the limit",
        )


def _refused(status: int, comment: str, error: Exception) -> Dataset:
    log.warning("instance.refused", status=f"0x{status:04X}", reason=str(error))
    return _answer(status, comment)


def _answer(status: int, comment: str = "") -> Dataset:
    answer = Dataset()
    answer.Status = status
    if comment:
        answer.ErrorComment = comment
    return answer
