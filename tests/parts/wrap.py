"""Wrap JPEG frames byte for byte into a US Multi-frame object, as a scanner would send them.

For the real breast CEUS frames that may not be redistributed: they are wrapped where a test runs.
"""

from collections.abc import Sequence
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundMultiFrameImageStorage,
)
from scipy.ndimage import gaussian_filter

ASSUMED_FRAME_TIME_MS = 2500.0
"""ASSUMED: the real frames are sparse samples of a loop whose interval is not known."""
ROWS_PER_CM = 192.0
"""Read off the depth scale of the real frames: ticks 0, 1, 2 cm at rows 5, 197, 389."""
REAL_CLIP = ("ceus_breast_ceusformer", "benign_case14")
PANE_COLUMNS = 550


def region(
    row: int, column: int, rows: int, columns: int, cm_per_pixel: float, data_type: int = 1
) -> Dataset:
    """One 2D region in centimetres (PS3.3 C.8.5.5)."""
    item = Dataset()
    item.RegionSpatialFormat = 1
    item.RegionDataType = data_type
    item.RegionFlags = 2
    item.RegionLocationMinX0 = column
    item.RegionLocationMinY0 = row
    item.RegionLocationMaxX1 = column + columns - 1
    item.RegionLocationMaxY1 = row + rows - 1
    item.PhysicalUnitsXDirection = 3
    item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = cm_per_pixel
    item.PhysicalDeltaY = cm_per_pixel
    return item


def header(uid: str, rows: int, columns: int, frames: int) -> Dataset:
    """A US Multi-frame header without pixels, timing or regions."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID = "2.25.1"
    dataset.SeriesInstanceUID = "2.25.2"
    dataset.Modality = "US"
    dataset.Manufacturer = "wrapped for a test"
    dataset.ManufacturerModelName = ""
    dataset.PatientName = "Test^Wrapped"
    dataset.PatientID = "WRAPPED"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.StudyID = ""
    dataset.StudyDate = "20200101"
    dataset.StudyTime = "120000"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.Laterality = "L"
    dataset.PatientOrientation = ""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "BREAST", "0001"]
    dataset.AcquisitionDateTime = "20200101120000"
    dataset.ContentDate = "20200101"
    dataset.ContentTime = "120100"
    dataset.NumberOfFrames = frames
    dataset.Rows = rows
    dataset.Columns = columns
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    return dataset


def native(
    path: Path,
    pixels: np.ndarray,
    *,
    photometric: str = "RGB",
    syntax: UID = ExplicitVRLittleEndian,
    **elements: object,
) -> Path:
    """Write frames (T, R, C) or (T, R, C, 3) uncompressed; ``elements`` override the header.

    An element given as None is left out.
    """
    frames, rows, columns = pixels.shape[:3]
    dataset = header(str(elements.pop("SOPInstanceUID", "2.25.3")), rows, columns, frames)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    dataset.PhotometricInterpretation = photometric
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    if pixels.dtype == np.uint16:
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit = 15
    dataset.FrameTime = 500.0
    dataset.FrameIncrementPointer = 0x00181063
    dataset.PixelData = pixels.tobytes()
    is_words = pixels.dtype == np.uint16 or not syntax.is_little_endian
    dataset["PixelData"].VR = "OW" if is_words else "OB"
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    dcmwrite(
        path,
        dataset,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        enforce_file_format=True,
    )
    return path


def encapsulated(
    path: Path, codestreams: Sequence[bytes], like: np.ndarray, photometric: str, syntax: UID
) -> Path:
    """Write one codestream a frame; ``like`` (T, R, C[, 3]) gives the frames' size."""
    native(path, like, photometric=photometric)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(list(codestreams))
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return path


def speckle(rng: np.random.Generator, level: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Smoothly moving bright grains (T, rows, columns) whose mean follows ``level`` (T,)."""
    field = rng.standard_normal((len(level), rows, columns))
    grains = gaussian_filter(field, (0.7, 1.5, 2.0))
    power = np.square(grains / grains.std())
    return np.clip(power * level[:, None, None], 0, 250).astype(np.uint8)


def wash_in(frames: int, start: float = 8.0, peak: float = 60.0) -> np.ndarray:
    """Mean grey level of a contrast pane over a bolus."""
    x = np.linspace(0, 1, frames)
    return start + (peak - start) / (1 + np.exp(-(x - 0.35) * 20)) * (1 - 0.4 * x)


def amber(grey: np.ndarray) -> np.ndarray:
    """A tint as scanners use it: red as grey level, less green, little blue."""
    level = grey.astype(np.float64)
    share = level / 255
    rgb = np.stack([level, level * (0.4 + 0.48 * share**1.3), level * (0.1 + 0.5 * share**2)])
    return np.moveaxis(np.rint(rgb), 0, -1).astype(np.uint8)


def grey_rgb(grey: np.ndarray) -> np.ndarray:
    """Grey level as RGB."""
    return np.repeat(grey[..., None], 3, axis=-1)


def wrap_jpeg(
    jpegs: Sequence[bytes],
    path: Path,
    *,
    regions: Sequence[Dataset],
    frame_time_ms: float | None = ASSUMED_FRAME_TIME_MS,
    uid: str = "2.25.3",
) -> Path:
    """Write JPEG baseline colour frames, unchanged, as YBR_FULL_422 fragments."""
    rows, columns, _ = imagecodecs.jpeg8_decode(jpegs[0]).shape
    dataset = header(uid, rows, columns, len(jpegs))
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PlanarConfiguration = 0
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionMethod = "ISO_10918_1"
    if regions:
        dataset.SequenceOfUltrasoundRegions = Items(regions)
    if frame_time_ms is not None:
        dataset.FrameTime = frame_time_ms
        dataset.FrameIncrementPointer = 0x00181063
    dataset.PixelData = encapsulate(list(jpegs))
    dataset["PixelData"].VR = "OB"
    dcmwrite(path, dataset, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return path


def wrap_real_clip(shared_data: Path, path: Path, *, whole_image: bool = False) -> Path:
    """Wrap the real breast CEUS clip with a region for each pane, or one for the whole image."""
    folder = shared_data.joinpath(*REAL_CLIP)
    jpegs = [file.read_bytes() for file in sorted(folder.glob("*.jpg"))]
    rows, columns, _ = imagecodecs.jpeg8_decode(jpegs[0]).shape
    cm = 1 / ROWS_PER_CM
    panes = [region(0, left, rows, PANE_COLUMNS, cm) for left in (0, PANE_COLUMNS)]
    regions = [region(0, 0, rows, columns, cm)] if whole_image else panes
    return wrap_jpeg(jpegs, path, regions=regions)
