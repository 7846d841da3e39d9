"""A result without compression, for as long as it takes to send it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from dicomnode.dicom.results.uncompressed import write_uncompressed
from dicomnode.errors import StoreError

__all__ = ["uncompressed"]


@contextmanager
def uncompressed(source: Path, transfer_syntax: str, *, folder: Path) -> Iterator[Path]:
    """Give a copy of a compressed result in a transfer syntax without compression.

    The copy lies on the disk of ``folder`` but has no name there: whatever ends first, the block
    or the process, leaves nothing behind.

    Raises
    ------
    InputError, OutputError
        The source is not a colour object that can be decoded.
    StoreError
        There is no room for the copy.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(TemporaryFile(dir=folder))
            write_uncompressed(source, file, transfer_syntax)
            file.flush()
        except OSError as error:
            raise StoreError(
                f"could not write {source.name} without compression: {error.strerror}",
                hint="the disk of the spool must be writable and not full",
            ) from error
        yield Path(f"/proc/self/fd/{file.fileno()}")  # proc(5): opens the file without a name
