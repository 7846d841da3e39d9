"""What scanners, archives and networks do to a clip: each way, in a study of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

__all__ = ["DAMAGES", "damaged", "flip", "study_uid"]

Damage = Callable[[Dataset], None]


def damaged(name: str, good: Path, directory: Path) -> Path:
    """Write the clip with one thing wrong."""
    ds = dcmread(good)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid(name), generate_uid()
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    DAMAGES[name](ds)
    path = directory / f"{name.replace(' ', '-')}.dcm"
    ds.save_as(path, enforce_file_format=True)
    if name in TO_BYTES:
        path.write_bytes(TO_BYTES[name](path.read_bytes()))
    return path


def flip(path: Path, at: int, bits: int = 1) -> None:
    """What a disk does: change one byte of a file where it lies."""
    content = bytearray(path.read_bytes())
    content[at] ^= bits
    path.write_bytes(content)


def study_uid(name: str) -> str:
    return f"2.25.{100 + list(DAMAGES).index(name)}"


def _more_frames(ds: Dataset) -> None:
    ds.NumberOfFrames += 40


def _fewer_frames(ds: Dataset) -> None:
    ds.NumberOfFrames -= 40


def _no_frames(ds: Dataset) -> None:
    ds.NumberOfFrames = 0


def _no_timing(ds: Dataset) -> None:
    for keyword in ("FrameTime", "FrameTimeVector", "FrameIncrementPointer"):
        if keyword in ds:
            del ds[keyword]


def _no_regions(ds: Dataset) -> None:
    del ds.SequenceOfUltrasoundRegions


def _short_palette(ds: Dataset) -> None:
    """16-bit indices into tables that hold a tenth of what they say."""
    _palette(ds)
    for channel in ("Red", "Green", "Blue"):
        keyword = f"{channel}PaletteColorLookupTableData"
        setattr(ds, keyword, ds[keyword].value[: len(ds[keyword].value) // 20 * 2])


def _palette(ds: Dataset) -> None:
    """The same picture as 16-bit indices into a palette, as older scanners store it."""
    frames = ds.pixel_array[..., :3] // 8
    red, green, blue = np.moveaxis(frames.astype(np.uint16), -1, 0)
    stored = red * 1024 + green * 32 + blue
    entries = np.arange(32768)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PhotometricInterpretation, ds.SamplesPerPixel = "PALETTE COLOR", 1
    del ds.PlanarConfiguration
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    for channel, shift in (("Red", 10), ("Green", 5), ("Blue", 0)):
        table = ((entries >> shift & 31) * 8 * 257).astype("<u2")
        descriptor = f"{channel}PaletteColorLookupTableDescriptor"
        setattr(ds, descriptor, [len(table), 0, 16])
        ds[descriptor].VR = "US"
        setattr(ds, f"{channel}PaletteColorLookupTableData", table.tobytes())
    ds.PixelData = stored.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"


def _latin_name(ds: Dataset) -> None:
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "Größe^Änne"


def _ct(ds: Dataset) -> None:
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.Modality = "CT"


def _nothing(ds: Dataset) -> None:
    """Leave it as it is: a good exam."""


DAMAGES: Mapping[str, Damage] = {
    "truncated": _nothing,
    "more frames stated": _more_frames,
    "fewer frames stated": _fewer_frames,
    "no frames": _no_frames,
    "no timing": _no_timing,
    "no regions": _no_regions,
    "short 16-bit palette": _short_palette,
    "16-bit palette": _palette,
    "wrong character set": _latin_name,
    "computed tomography": _ct,
    "good": _nothing,
}

TO_BYTES: Mapping[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) * 2 // 3],
    "wrong character set": lambda content: content.replace(b"ISO_IR 100", b"ISO_IR 999", 1),
}
"""Damage that a dataset cannot express."""
