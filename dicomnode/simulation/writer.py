"""Simulated exams as Ultrasound Multi-frame objects (PS3.3 A.7), and their truth beside them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless
from pydicom.uid import UltrasoundMultiFrameImageStorage as USMultiFrame

from dicomnode.dicom.context import derived_uid
from dicomnode.simulation.exam import SimulatedExam
from dicomnode.simulation.pixels import jpeg, packbits
from dicomnode.simulation.screen import Corner
from dicomnode.version import __version__

__all__ = ["NOT_A_PATIENT", "datasets", "write", "write_truth"]

NOT_A_PATIENT = "SIMULATED by dicomnode. Not a patient; not for clinical use."
STUDY_START = datetime(2025, 1, 6, 9, 0, 0)  # noqa: DTZ001 (scanners write local time)
BETWEEN_INJECTIONS = timedelta(minutes=15)
IMPLEMENTATION_UID = derived_uid("dicomnode simulator")

TRANSFER_SYNTAXES: Mapping[str, UID] = {
    "jpeg": JPEGBaseline8Bit,
    "rle": RLELossless,
    "explicit": ExplicitVRLittleEndian,
}


def write(sim: SimulatedExam, directory: Path) -> list[Path]:
    """Write every clip of an injection into ``directory``; a later injection joins its study."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, ds in enumerate(datasets(sim), start=1):
        path = directory / f"injection{sim.recipe.injection}_clip{number}.dcm"
        dcmwrite(path, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
        paths.append(path)
    return paths


def write_truth(sim: SimulatedExam, directory: Path) -> list[Path]:
    """Write ``truth.npz`` (masks and curves) and ``truth.json`` (label and recipe)."""
    directory.mkdir(parents=True, exist_ok=True)
    truth = sim.truth
    arrays, words = directory / "truth.npz", directory / "truth.json"
    np.savez_compressed(
        arrays,
        lesion_mask=truth.lesion_mask,
        enhanced_mask=truth.enhanced_mask,
        subregion_map=truth.subregion_map,
        power=truth.power,
        shift_px=truth.shift_px,
        times_s=sim.loop.times_s,
    )
    facts = {
        "simulated": NOT_A_PATIENT,
        "label": truth.label,
        "dynamic_range_db": truth.dynamic_range_db,
        "arrival_s": truth.arrival_s,
        "recipe": asdict(sim.recipe),
    }
    words.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return [arrays, words]


def datasets(sim: SimulatedExam) -> list[Dataset]:
    """One Ultrasound Multi-frame dataset per clip, with file meta information."""
    edges = [*sim.clip_starts, len(sim.loop.times_s)]
    return [
        _clip(sim, number, start, stop)
        for number, (start, stop) in enumerate(pairwise(edges), start=1)
    ]


def _clip(sim: SimulatedExam, number: int, start: int, stop: int) -> Dataset:
    ds = Dataset()
    instance = 100 * (sim.recipe.injection - 1) + number
    times_s = sim.loop.times_s[start:stop]
    _identify(ds, sim, instance)
    _date(ds, sim, times_s)
    _describe_scan(ds, sim)
    ds.SequenceOfUltrasoundRegions = _regions(sim)
    _store_pixels(ds, sim, start, stop)
    ds.SOPInstanceUID = derived_uid(ds.SeriesInstanceUID, instance, _digest(ds.PixelData))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = USMultiFrame
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = TRANSFER_SYNTAXES[sim.recipe.display.transfer_syntax]
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    ds.file_meta.ImplementationVersionName = "DICOMNODE_SIM"
    return ds


def _identify(ds: Dataset, sim: SimulatedExam, instance: int) -> None:
    """Patient, study, series and equipment: everything says that this is simulated."""
    seed = sim.recipe.seed
    same_patient = replace(sim.recipe, injection=1)
    study = derived_uid("study", same_patient, _digest(sim.truth.lesion_mask.tobytes()))
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = USMultiFrame
    ds.PatientName = f"SIMULATED^CASE {seed}"
    ds.PatientID = f"SIM{seed}"
    ds.PatientBirthDate = ""
    ds.PatientSex = "F"
    ds.PatientComments = NOT_A_PATIENT
    ds.StudyInstanceUID = study
    ds.StudyID = "SIM"
    ds.AccessionNumber = f"SIM{seed}"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "SIMULATED breast CEUS"
    ds.SeriesInstanceUID = derived_uid("series", study)
    ds.SeriesNumber = 1
    ds.SeriesDescription = "SIMULATED CEUS"
    ds.Modality = "US"
    ds.Laterality = "L" if seed % 2 else "R"
    ds.BodyPartExamined = "BREAST"
    ds.Manufacturer = "dicomnode simulator"
    ds.ManufacturerModelName = f"layout {sim.recipe.display.layout}"
    ds.SoftwareVersions = __version__
    ds.InstanceNumber = instance
    ds.ImageComments = NOT_A_PATIENT


def _date(ds: Dataset, sim: SimulatedExam, times_s: NDArray[np.float64]) -> None:
    """Start of the clip to the microsecond, and the time of every frame."""
    injected = STUDY_START + (sim.recipe.injection - 1) * BETWEEN_INJECTIONS
    begun = injected + timedelta(seconds=float(times_s[0]))
    ds.StudyDate = ds.SeriesDate = f"{STUDY_START:%Y%m%d}"
    ds.StudyTime = ds.SeriesTime = f"{STUDY_START:%H%M%S}"
    ds.AcquisitionDate = ds.ContentDate = f"{begun:%Y%m%d}"
    ds.AcquisitionTime = ds.ContentTime = f"{begun:%H%M%S.%f}"
    ds.AcquisitionDateTime = f"{begun:%Y%m%d%H%M%S.%f}"
    steps_ms = np.rint(np.diff(times_s) * 1e3).astype(int)
    if len(set(steps_ms.tolist())) <= 1:
        ds.FrameTime = str(steps_ms[0] if len(steps_ms) else 1000)
        ds.FrameIncrementPointer = Tag("FrameTime")
    else:
        ds.FrameTimeVector = ["0", *(str(step) for step in steps_ms)]
        ds.FrameIncrementPointer = Tag("FrameTimeVector")


def _describe_scan(ds: Dataset, sim: SimulatedExam) -> None:
    pane = sim.recipe.pane
    ds.ImageType = ["ORIGINAL", "PRIMARY", "SMALL PARTS", "0001"]
    ds.TransducerType = "LINEAR"
    ds.MechanicalIndex = "0.07"
    # PS3.3 C.8.5.6 has no element for the dynamic range; this one describes processing in words
    ds.ProcessingFunction = f"LOG COMPRESSION {sim.recipe.display.dynamic_range_db:g} dB"
    ds.DepthOfScanField = str(round(pane.rows * pane.spacing_mm))
    ds.PatientOrientation = ""
    ds.BurnedInAnnotation = "YES"
    if sim.recipe.contrast_agent:
        ds.ContrastBolusAgent = "SIMULATED SonoVue"
        ds.ContrastBolusRoute = "IV"


def _regions(sim: SimulatedExam) -> Sequence[Dataset]:
    """Ultrasound regions (PS3.3 C.8.5.5), one per pane; the unit of length there is centimetres."""
    view = sim.screen
    corners = sorted(
        [c for c in (view.contrast, view.bmode) if c is not None], key=lambda c: (c.row, c.column)
    )
    if sim.screen.one_region:
        last = corners[-1]
        size = (
            last.row - corners[0].row + view.pane[0],
            last.column - corners[0].column + view.pane[1],
        )
        return [_region(corners[0], size, sim.recipe.pane.spacing_mm)]
    return [_region(corner, view.pane, sim.recipe.pane.spacing_mm) for corner in corners]


def _region(corner: Corner, size: tuple[int, int], spacing_mm: float) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat = 1  # 2D
    region.RegionDataType = 1  # tissue
    region.RegionFlags = 2  # opaque, scan lines not stated
    region.RegionLocationMinX0 = corner.column
    region.RegionLocationMinY0 = corner.row
    region.RegionLocationMaxX1 = corner.column + size[1] - 1
    region.RegionLocationMaxY1 = corner.row + size[0] - 1
    region.PhysicalUnitsXDirection = 3  # cm
    region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = spacing_mm / 10
    region.PhysicalDeltaY = spacing_mm / 10
    return region


def _store_pixels(ds: Dataset, sim: SimulatedExam, start: int, stop: int) -> None:
    syntax = sim.recipe.display.transfer_syntax
    ds.NumberOfFrames = stop - start
    ds.Rows, ds.Columns = sim.screen.rows, sim.screen.columns
    ds.SamplesPerPixel = 3
    ds.PhotometricInterpretation = "YBR_FULL_422" if syntax == "jpeg" else "RGB"
    ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    ds.UltrasoundColorDataPresent = int(sim.recipe.display.tint != "grey")
    ds.LossyImageCompression = "01" if syntax == "jpeg" else "00"
    frames = sim.frames(start, stop)
    if syntax == "explicit":
        pixels = b"".join(frame.tobytes() for frame in frames)
        ds.PixelData = pixels + b"\0" * (len(pixels) % 2)
        ds["PixelData"].VR = "OB"
        return
    encoded = [jpeg(frame) if syntax == "jpeg" else packbits(frame) for frame in frames]
    if syntax == "jpeg":
        native = ds.NumberOfFrames * ds.Rows * ds.Columns * 3
        ds.LossyImageCompressionRatio = f"{native / sum(map(len, encoded)):.2f}"
        ds.LossyImageCompressionMethod = "ISO_10918_1"
    ds.PixelData = encapsulate(encoded)
    ds["PixelData"].VR = "OB"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
