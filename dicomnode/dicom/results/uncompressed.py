"""A compressed colour loop as plain RGB, for peers that take nothing compressed."""

import struct
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmwrite
from pydicom.uid import UID

from dicomnode.dicom.decode import frame_shape, frames, number_of_frames
from dicomnode.dicom.header import Header, read_header
from dicomnode.dicom.limits import LONGEST_VALUE
from dicomnode.errors import OutputError

__all__ = ["write_uncompressed"]

PIXEL_DATA = (0x7FE0, 0x0010)
OF_FRAGMENTS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def write_uncompressed(source: Path, target: BinaryIO, transfer_syntax: str) -> None:
    """Write a compressed colour object with its pixels as RGB, one frame in memory at a time.

    It stays the same instance and goes on saying that its pixels were compressed with loss, how
    and how strongly (PS3.3 C.7.6.1.1.5). Elements behind the pixels are left out.

    Parameters
    ----------
    source : Path
        Three samples of 8 bits a pixel, in any transfer syntax that can be decoded.
    target : binary file
        Written from where it stands.
    transfer_syntax : str
        Explicit or Implicit VR Little Endian.

    Raises
    ------
    InputError
        The source cannot be decoded.
    OutputError
        It is not 8-bit colour, or too long without compression.
    """
    header = read_header(source)
    length = _length(header)
    dataset = header.dataset
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    for keyword in OF_FRAGMENTS:
        dataset.pop(keyword, None)
    dcmwrite(target, dataset, enforce_file_format=True)
    target.write(_pixel_element(UID(transfer_syntax), length + length % 2))
    # Frames are read by the source's own header: this one says already what it will be.
    target.writelines(frame.data for frame in frames(source))
    target.write(bytes(length % 2))


def _length(header: Header) -> int:
    """Bytes of all frames."""
    shape, name = frame_shape(header), header.path.name
    if (shape.samples, shape.bits_allocated) != (3, 8):
        raise OutputError(
            f"{name}: expected 3 samples of 8 bits a pixel to write without compression, "
            f"found {shape.samples} of {shape.bits_allocated}"
        )
    length = number_of_frames(header) * shape.rows * shape.columns * shape.samples
    if length > LONGEST_VALUE:
        raise OutputError(
            f"{name}: expected at most {LONGEST_VALUE} bytes of pixels without compression "
            f"(PS3.5 7.1.1), found {length}"
        )
    return length


def _pixel_element(transfer_syntax: UID, length: int) -> bytes:
    """Tag, VR and length of PixelData (PS3.5 7.1.2 and 7.1.3)."""
    if transfer_syntax.is_implicit_VR:
        return struct.pack("<HHI", *PIXEL_DATA, length)
    return struct.pack("<HH2s2xI", *PIXEL_DATA, b"OB", length)
