"""One made-up exam and what was found in it, complete enough for every output.

The lesion is an ellipse with a fast rim, a slow core and an unreliable speck; curves and maps are
lognormal boluses of plausible breast lesions, with noise from a fixed seed.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage
from scipy.ndimage import gaussian_filter

from dicomnode.dicom.box import Box
from dicomnode.dicom.context import Context, exam_context
from dicomnode.dicom.exam import Clip, Exam
from dicomnode.science.feature_table import BY_NAME
from dicomnode.science.findings import (
    UNRELIABLE,
    Bolus,
    Check,
    Contribution,
    Curve,
    Diagnosis,
    Findings,
    Lesion,
    ModelUse,
    Quality,
    Region,
    Spread,
    Stability,
    SubRegion,
)
from dicomnode.science.kinetics import FAMILIES, PARAMETERS, curve_parameters, lognormal, relative

ROWS, COLUMNS = 243, 331  # neither their product nor a row is a multiple of 8
PANE_ROWS, PANE_COLUMNS = 201, 151
BMODE = Box(row=22, column=7, rows=PANE_ROWS, columns=PANE_COLUMNS)
CONTRAST = Box(row=22, column=171, rows=PANE_ROWS, columns=PANE_COLUMNS)
SPACING_MM = (0.17, 0.19)
FRAMES = 48
REFERENCE = 19
BASELINE = 0.02
WARNING = (
    "The speckle looks like a dynamic range of 52 dB where 60 dB was taken from the vendor's "
    "table: transit times may be off by a tenth."
)

KINDS = {  # number: name, ln AUC, mu, sigma, arrival
    1: ("poorly perfused", 0.4, 3.2, 0.9, 9.0),
    2: ("slow, weak", 2.4, 3.3, 0.8, 8.0),
    4: ("fast, strong", 4.4, 2.9, 0.8, 6.5),
    5: ("very fast, early wash-out", 4.3, 2.4, 0.7, 6.0),
}

LESION_ARRIVAL_S = 6.5
TISSUE = ("reference tissue", 2.9, 3.3, 0.85, 8.0)


def times() -> NDArray[np.float64]:
    """Times of the frames, s."""
    return np.linspace(0.0, 62.0, FRAMES)


def labels() -> NDArray[np.uint8]:
    """Sub-region of each pixel of the pane; 0 outside the lesion."""
    rows, columns = np.mgrid[:PANE_ROWS, :PANE_COLUMNS]
    radius = np.hypot((rows - 104.0) / 48.0, (columns - 71.0) / 41.0)
    angle = np.arctan2(rows - 104.0, columns - 71.0)
    wobble = 1 + 0.06 * np.sin(5 * angle)
    result = np.zeros((PANE_ROWS, PANE_COLUMNS), np.uint8)
    result[radius < wobble] = 4
    result[(radius < wobble) & (np.abs(angle - 0.6) < 0.7)] = 5
    result[radius < 0.62] = 2
    result[np.hypot(rows - 112.0, columns - 64.0) < 13] = 1
    result[np.hypot(rows - 80.0, columns - 84.0) < 5] = UNRELIABLE
    return result


def outline(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Closed polygon through a star-shaped mask's edge, 72 points."""
    rows, columns = np.nonzero(mask)
    row, column = rows.mean(), columns.mean()
    points = []
    for angle in np.linspace(0, 2 * np.pi, 72, endpoint=False):
        steps = np.arange(0, 60, 0.25)
        r, c = row + steps * np.sin(angle), column + steps * np.cos(angle)
        last = np.flatnonzero(mask[r.round().astype(int), c.round().astype(int)])[-1]
        points.append((r[last], c[last]))
    return np.array([*points, points[0]])


def pixels(kind: NDArray[np.float64], rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Parameters of pixels around a kind (ln AUC, mu, sigma, arrival), (4, ...); NaN stays NaN."""
    smooth = rng.normal(size=kind.shape)
    if kind.ndim == 3:
        smooth = 10 * gaussian_filter(smooth, (0, 3, 3))
    log_auc, mu, sigma, arrival = kind + 0.15 * smooth
    sigma = np.clip(sigma, 0.4, 1.5)
    log_pe = log_auc + sigma**2 / 2 - mu - np.log(np.sqrt(2 * np.pi) * sigma)
    values = curve_parameters(FAMILIES["lognormal"], log_pe, mu - sigma**2, -2 * np.log(sigma))
    return values | {
        "TTP": arrival + values["RT"] - LESION_ARRIVAL_S,
        "QOF": np.where(np.isfinite(arrival), 0.8, np.nan),
        "arrival": arrival,
    }


def maps(label: NDArray[np.uint8], rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Parameter maps of the lesion; NaN outside."""
    fields = np.full((4, *label.shape), np.nan)
    for number, (_, *kind) in KINDS.items():
        fields[:, label == number] = np.array(kind)[:, None]
    return {name: value.astype(np.float32) for name, value in pixels(fields, rng).items()}


def reference_pixels(rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Parameters of 500 pixels of reference tissue."""
    return pixels(np.repeat(np.array(TISSUE[1:])[:, None], 500, axis=1), rng)


def curves(times_s: NDArray[np.float64], rng: np.random.Generator) -> tuple[Curve, ...]:
    """Mean curves of the regions."""
    rows: list[tuple[Any, ...]] = [(name, number, *kind) for number, (name, *kind) in KINDS.items()]
    rows += [("lesion", None, 3.9, 2.95, 0.85, LESION_ARRIVAL_S), (TISSUE[0], None, *TISSUE[1:])]
    result = []
    for name, number, log_auc, mu, sigma, arrival in rows:
        fitted = lognormal(times_s, np.exp(log_auc), mu, sigma, arrival) + BASELINE
        power = fitted * rng.gamma(60, 1 / 60, len(times_s))
        power[[7, 31]] = np.nan
        result.append(
            Curve(
                name=name,
                number=number,
                power=power,
                fitted=fitted,
                arrival_s=arrival,
                baseline=BASELINE,
            )
        )
    return tuple(result)


def speckle(mean: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Grey speckle on a mean power."""
    field = gaussian_filter(rng.normal(size=(2, *mean.shape)), (0, 0.9, 0.7))
    power = mean * (field**2).sum(axis=0) / (field**2).sum(axis=0).mean()
    grey = np.clip(255 + 255 / 60 * 10 * np.log10(power + 1e-7), 0, 255)
    return np.asarray(grey, np.uint8)


def contrast_pane(
    label: NDArray[np.uint8], time_s: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The contrast pane at a time."""
    mean = np.full(label.shape, 4e-6 + lognormal(time_s, 0.01, 3.3, 0.85, 8.0))
    for number, (_, log_auc, mu, sigma, arrival) in KINDS.items():
        bolus = lognormal(time_s, np.exp(log_auc), mu, sigma, arrival)
        mean[label == number] = 4e-6 + 0.012 * bolus
    return speckle(gaussian_filter(mean, 1.0), rng)


def bmode_pane(label: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The B-mode pane."""
    mean = np.where(label > 0, 1e-4, 0.003) * np.linspace(1.6, 0.3, label.shape[0])[:, None]
    mean[30:44] *= 8
    return speckle(gaussian_filter(mean, 1.5), rng)


def spreads(
    values: Mapping[str, NDArray[np.floating]], *, against_tissue: bool = False
) -> dict[str, Spread]:
    """Median and quartiles of what is finite, in the units of the table or of its relations."""
    result = {}
    for parameter in PARAMETERS:
        if parameter.name in values:
            found = values[parameter.name]
            q1, median, q3 = np.quantile(found[np.isfinite(found)], (0.25, 0.5, 0.75))
            ratio = against_tissue and parameter.relation == "ratio"
            result[parameter.name] = Spread(
                median=float(median),
                q1=float(q1),
                q3=float(q3),
                unit="1" if ratio else parameter.unit,
            )
    return result


def region(
    values: Mapping[str, NDArray[np.floating]], tissue: Mapping[str, NDArray[np.float64]]
) -> Region:
    """Parameters of a region, as they are and against tissue."""
    wide = {name: value.astype(np.float64) for name, value in values.items()}
    return Region(
        parameters=spreads(wide), relative=spreads(relative(wide, tissue), against_tissue=True)
    )


def subregions(
    label: NDArray[np.uint8],
    values: Mapping[str, NDArray[np.float32]],
    tissue: Mapping[str, NDArray[np.float64]],
) -> tuple[SubRegion, ...]:
    """The sub-regions with their parameters."""
    result = []
    names = {number: name for number, (name, *_) in KINDS.items()} | {UNRELIABLE: "unreliable"}
    for number, name in names.items():
        mask = label == number
        inside = {key: value[mask] for key, value in values.items()}
        measured = region(inside, tissue) if number != UNRELIABLE else region({}, tissue)
        share = float(mask.sum())
        result.append(
            SubRegion(
                number=number,
                name=name,
                fraction=share / float((label > 0).sum()),
                area_mm2=share * SPACING_MM[0] * SPACING_MM[1],
                parameters=measured.parameters,
                relative=measured.relative,
            )
        )
    return tuple(result)


def stability(label: NDArray[np.uint8]) -> Stability:
    """Pixels in the middle of a sub-region keep their label, those at its edge less often."""
    inside = np.zeros(label.shape)
    for number in np.unique(label):
        inside = np.maximum(inside, gaussian_filter((label == number).astype(float), 2))
    agreement = np.where(label > 0, inside, np.nan).astype(np.float32)
    return Stability(ari=0.86, replicates=10, agreement=agreement)


def diagnosis() -> Diagnosis:
    """An answer with its contributions."""
    rows = (
        ("fraction_5", 0.21, 0.12, 0.83, "share of very fast, early wash-out sub-region"),
        ("rim_core_log_pe", 1.6, 0.46, 0.61, ""),
        ("relative_ttp", -8.02, -3.1, 0.34, ""),
        ("enlargement_ratio", 1.31, 1.1, 0.22, ""),
        ("ttp", 12.4, 10.7, -0.28, ""),
        ("defect_fraction", 0.09, 0.13, 0.11, ""),
    )
    contributions = tuple(
        Contribution(
            feature=feature,
            value=value,
            mean=mean,
            contribution=contribution,
            meaning=meaning or BY_NAME[feature].meaning,
        )
        for feature, value, mean, contribution, meaning in rows
    )
    return Diagnosis(
        malignant_probability=0.87,
        interval=(0.71, 0.95),
        prevalence=0.5,
        decision="malignant",
        coverage=0.9,
        contributions=contributions,
    )


def quality() -> Quality:
    """A grade with its checks."""
    rows = (
        ("bolus", 14.2, 3.0, "dB", True, "enhancement above baseline"),
        ("arrival", 6.0, 1.0, "s", True, "baseline before the bolus arrives"),
        ("duration", 62.0, 40.0, "s", True, "long enough for wash-out"),
        ("saturation", 0.012, 0.05, "1", True, "share of saturated lesion samples"),
        ("motion", 0.87, 0.9, "1", False, "share of frames in plane is below its limit"),
    )
    checks = tuple(
        Check(
            name=name,
            value=value,
            limit=limit,
            unit=unit,
            passed=passed,
            refuses=False,
            message=message,
        )
        for name, value, limit, unit, passed, message in rows
    )
    return Quality(grade="B", checks=checks)


def models() -> tuple[ModelUse, ...]:
    """The models that are said to have been used."""
    judged = "AUC 0.910 (95 % 0.880 to 0.940). Obtained on: 400 simulated exams."
    rows = (
        ("lesion-segmenter", "segment", "BUSI and simulated exams", ()),
        ("perfusion-codebook", "subregions", "simulated exams", ()),
        ("lesion-classifier", "classify", "simulated exams", (judged,)),
    )
    return tuple(
        ModelUse(
            name=name,
            version="0.1.0",
            task=task,
            sha256=f"{i:x}c4" * 21 + "0",
            manifest_sha256=f"{i:x}d5" * 21 + "0",
            trained_on=trained,
            figures=figures,
        )
        for i, (name, task, trained, figures) in enumerate(rows, start=10)
    )


def findings() -> Findings:
    """All that is said to have been found."""
    rng = np.random.default_rng(5)
    label, times_s = labels(), times()
    mask = label > 0
    ring = (gaussian_filter(mask.astype(float), 6) > 0.08) & ~mask
    tissue = np.zeros_like(mask)
    tissue[150:180, 10:140] = True
    values, reference = maps(label, rng), reference_pixels(rng)
    reliable = mask & (label != UNRELIABLE)
    kept = np.ones(FRAMES, np.bool_)
    kept[[7, 31]] = False
    shift = np.column_stack([2.5 * np.sin(times_s / 4), 1.5 * np.cos(times_s / 4) - 1.5])
    return Findings(
        times_s=times_s,
        spacing_mm=SPACING_MM,
        reference_frame=REFERENCE,
        dynamic_range_db=60.0,
        dynamic_range_source="vendor",
        shift_px=shift - shift[REFERENCE],
        kept=kept,
        bmode_image=bmode_pane(label, rng),
        contrast_image=contrast_pane(label, times_s[REFERENCE], rng),
        contrast_peak=contrast_pane(label, 18.0, rng),
        lesion_mask=mask,
        ring_mask=ring,
        tissue_mask=tissue,
        subregion_map=label,
        maps=values,
        curves=curves(times_s, rng),
        lesion=Lesion(
            area_mm2=float(mask.sum()) * SPACING_MM[0] * SPACING_MM[1],
            long_axis_mm=16.4,
            short_axis_mm=15.1,
            enlargement_ratio=1.31,
            outlines=(outline(mask),),
            probability=0.98,
            uncertainty=0.21,
        ),
        subregions=subregions(label, values, reference),
        whole=region({name: value[reliable] for name, value in values.items()}, reference),
        tissue=Region(parameters=spreads(reference), relative={}),
        bolus=Bolus(
            family="lognormal",
            deviances={"lognormal": 0.0, "gamma variate": 41.7, "LDRW": 12.9, "FPT": 30.2},
            recirculation=0.18,
            dispersion=0.71,
        ),
        stability=stability(label),
        features={"fraction_5": 0.21, "entropy": 1.24},
        diagnosis=diagnosis(),
        quality=quality(),
        models=models(),
        warnings=(WARNING,),
    )


def bare_findings() -> Findings:
    """The least that can be found: no B-mode pane, no sub-region, nothing fitted, no answer."""
    full = findings()
    nothing = {name: np.full_like(value, np.nan) for name, value in full.maps.items()}
    return replace(
        full,
        bmode_image=None,
        subregion_map=np.where(full.lesion_mask, UNRELIABLE, 0).astype(np.uint8),
        subregions=(),
        whole=Region(parameters={}, relative={}),
        tissue=Region(parameters={}, relative={}),
        stability=None,
        warnings=(),
        maps=nothing,
        curves=tuple(
            replace(curve, fitted=np.full_like(curve.fitted, np.nan), arrival_s=None, baseline=None)
            for curve in full.curves
            if curve.number is None
        ),
        diagnosis=replace(
            full.diagnosis,
            malignant_probability=None,
            interval=None,
            prevalence=None,
            decision="indeterminate",
            contributions=(),
        ),
        quality=replace(full.quality, grade="D"),
        lesion=replace(full.lesion, enlargement_ratio=None),
    )


def frames(found: Findings) -> NDArray[np.uint8]:
    """The whole clip as a scanner shows it: B-mode left, amber contrast right. (T, R, C, 3)."""
    rng = np.random.default_rng(6)
    clip = np.zeros((FRAMES, ROWS, COLUMNS, 3), np.uint8)
    clip[:, 6:12, 10:60] = 180
    assert found.bmode_image is not None
    amber = np.array([1.0, 0.82, 0.45])
    for i, time_s in enumerate(found.times_s):
        shift = tuple(round(step) for step in found.shift_px[i])
        label = np.roll(found.subregion_map, shift, (0, 1))
        clip[(i, *BMODE.slices)] = np.roll(found.bmode_image, shift, (0, 1))[..., None]
        clip[(i, *CONTRAST.slices)] = contrast_pane(label, time_s, rng)[..., None] * amber
    return clip


def header() -> Dataset:
    """The clip's header: Latin-1 names, a side, an order, a scanner, one region per pane."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.SOPInstanceUID = "2.25.1001"
    ds.StudyInstanceUID = "2.25.2001"
    ds.SeriesInstanceUID = "2.25.3001"
    ds.PatientName = "Müller^Änne"
    ds.PatientID = "TEST-1"
    ds.PatientBirthDate = "19610203"
    ds.PatientSex = "F"
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20250102", "101500", "7"
    ds.AccessionNumber = "ACC-7"
    ds.ReferringPhysicianName = "Groß^Jörg"
    ds.StudyDescription = "Mammasonographie mit Kontrastmittel für B"
    ds.SeriesNumber, ds.InstanceNumber, ds.Modality = 3, 1, "US"
    ds.SeriesDescription = "CEUS"
    ds.ContentDate, ds.ContentTime = "20250102", "102000"
    ds.Manufacturer, ds.ManufacturerModelName = "Simulated", "Scanner"
    ds.Laterality = "L"
    ds.PatientOrientation = None
    ds.ImageType = ["ORIGINAL", "PRIMARY", "BREAST", "0001"]
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP-7", "SPS-7"
    request.RequestedProcedureDescription = "Kontrastmittelsonographie für Brust"
    ds.RequestAttributesSequence = [request]
    ds.SequenceOfUltrasoundRegions = Sequence([_region(BMODE), _region(CONTRAST)])
    ds.Rows, ds.Columns, ds.NumberOfFrames = ROWS, COLUMNS, FRAMES
    ds.FrameTime = f"{1000 * (times()[1] - times()[0]):.3f}"
    ds.FrameIncrementPointer = 0x00181063
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    return ds


def _region(box: Box) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = box.column, box.row
    region.RegionLocationMaxX1 = box.column + box.columns - 1
    region.RegionLocationMaxY1 = box.row + box.rows - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = SPACING_MM[1] / 10, SPACING_MM[0] / 10
    return region


def write_clip(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write frames as an Ultrasound Multi-frame file."""
    ds = header()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB"
    ds.save_as(path, enforce_file_format=True)


def exam(path: Path = Path("clip.dcm")) -> Exam:
    """The exam, its clip lying at a path."""
    return Exam(
        study_uid="2.25.2001",
        injection=1,
        clips=(Clip(path=path, header=header(), frame_times_s=times()),),
        contrast=CONTRAST,
        bmode=BMODE,
        layout="side by side",
        spacing_mm=SPACING_MM,
        colour_map="amber",
        dynamic_range_db=60.0,
        dynamic_range_source="vendor",
    )


def context() -> Context:
    """What all its results share."""
    when = datetime(2025, 1, 2, 11, 0, 0, tzinfo=UTC)
    return exam_context(exam(), models=models(), recipe="recipe 1", when=when)
