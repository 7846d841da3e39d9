"""Removing what an association that broke off has left in the incoming directory."""

import queue
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

__all__ = ["discard_unfinished"]


class _Closes(Protocol):
    def close(self) -> None: ...


def discard_unfinished(assoc: Association) -> None:
    """Remove the file that was being written and those that were never handled.

    pynetdicom removes a file only after its handler has returned. An association that is
    aborted or lost leaves one half written, and more when the peer sent ahead.
    """
    message = assoc.dimse.message
    if message is not None:
        _remove(message._data_set_file, message._data_set_path)  # noqa: SLF001
    while True:
        try:
            _, request = assoc.dimse.msg_queue.get_nowait()
        except queue.Empty:
            return
        if isinstance(request, C_STORE):
            _remove(request._dataset_file, request._dataset_path)  # noqa: SLF001


def _remove(file: _Closes | None, path: Path | tuple[Path, int] | None) -> None:
    """Remove what can be: a full disk must not keep an association from its end."""
    if file is not None:
        with suppress(OSError):
            file.close()
    if isinstance(path, Path):
        with suppress(OSError):
            path.unlink()
