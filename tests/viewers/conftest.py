"""Sources as scanners send them, each with the results of the example, in a PACS and a viewer."""

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from conformance import example
from dicomnode.dicom.box import Box
from dicomnode.dicom.context import derived_uid, exam_context
from dicomnode.dicom.exam import Clip, Exam
from dicomnode.dicom.exam.layout import Layout
from dicomnode.outputs.write import write_outputs
from dicomnode.science.findings import Findings
from dicomnode.simulation.pixels import jpeg, packbits
from parts.ohif import Ohif
from parts.orthanc import Orthanc
from parts.waiting import PATIENCE_S

KEPT = slice(17, 21)
"""Frames of the example that are sent: OHIF paints a SEG once for every frame of the clip."""
REFERENCE = example.REFERENCE - KEPT.start
OUTPUTS = 6
PANE = {"rows": example.PANE_ROWS, "columns": example.PANE_COLUMNS}


@dataclass(frozen=True, kw_only=True)
class Source:
    """How a scanner shows and stores the example."""

    layout: Layout
    photometric: str
    rows: int
    columns: int
    contrast: Box
    bmode: Box | None = None
    rle: bool = False
    injections: int = 1


SOURCES = {
    "side by side, RGB, odd width": Source(
        layout="side by side",
        photometric="RGB",
        rows=example.ROWS,
        columns=example.COLUMNS,
        bmode=example.BMODE,
        contrast=example.CONTRAST,
    ),
    "contrast left, RLE": Source(
        layout="side by side",
        photometric="RGB",
        rle=True,
        rows=220,
        columns=320,
        contrast=Box(row=10, column=4, **PANE),
        bmode=Box(row=10, column=162, **PANE),
    ),
    "one above the other, grey": Source(
        layout="one above the other",
        photometric="MONOCHROME2",
        rows=420,
        columns=181,
        bmode=Box(row=4, column=20, **PANE),
        contrast=Box(row=212, column=20, **PANE),
    ),
    "single pane, JPEG": Source(
        layout="single",
        photometric="YBR_FULL_422",
        rows=222,
        columns=168,
        contrast=Box(row=13, column=9, **PANE),
    ),
    "side by side, JPEG": Source(
        layout="side by side",
        photometric="YBR_FULL_422",
        rows=208,
        columns=310,
        bmode=Box(row=3, column=2, **PANE),
        contrast=Box(row=3, column=157, **PANE),
    ),
    "three injections": Source(
        layout="single",
        photometric="RGB",
        rows=211,
        columns=163,
        contrast=Box(row=5, column=6, **PANE),
        injections=3,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A study in the PACS: the frames, (T, R, C, 3), and the results of every injection."""

    study_uid: str
    frames: tuple[NDArray[np.uint8], ...]
    segs: tuple[Dataset, ...]
    """Of the sub-regions, one for every injection."""
    lesions: tuple[Dataset, ...]
    """The same of the lesion."""
    reports: tuple[str, ...]
    """UIDs of the structured reports."""
    pictures: tuple[str, ...]
    """UIDs of overlay, key frame and report page."""

    @property
    def series(self) -> int:
        """How many thumbnails the viewer has for it: one for every clip and result."""
        return len(self.segs) * (1 + OUTPUTS)


@pytest.fixture(scope="session")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    orthanc = Orthanc(tmp_path_factory.mktemp("pacs") / "orthanc", dicomweb=True)
    orthanc.start()
    yield orthanc
    orthanc.stop()


@pytest.fixture(scope="session")
def viewer(tmp_path_factory: pytest.TempPathFactory, pacs: Orthanc) -> Iterator[Ohif]:
    ohif = Ohif(tmp_path_factory.mktemp("viewer") / "ohif", pacs=pacs.url)
    try:
        ohif.start()
        yield ohif
    finally:
        ohif.stop()


@pytest.fixture(params=SOURCES)
def stored(request: pytest.FixtureRequest, tmp_path: Path, pacs: Orthanc) -> Stored:
    """Everything of a study, source and results, in the PACS."""
    source = SOURCES[request.param]
    made = [_injection(request.param, source, n, tmp_path) for n in range(1, source.injections + 1)]
    for path in sorted(tmp_path.glob("*/*.dcm")):
        sent = urllib.request.Request(f"{pacs.url}/instances", data=path.read_bytes())
        urllib.request.urlopen(sent, timeout=PATIENCE_S).close()
    return Stored(
        study_uid=made[0][0].study_uid,
        frames=tuple(frames for _, frames in made),
        segs=tuple(dcmread(path) for path in sorted(tmp_path.glob("*/seg.dcm"))),
        lesions=tuple(dcmread(path) for path in sorted(tmp_path.glob("*/lesion.dcm"))),
        reports=_uids(tmp_path, "sr"),
        pictures=_uids(tmp_path, "overlay", "keyframe", "report"),
    )


def _uids(root: Path, *kinds: str) -> tuple[str, ...]:
    return tuple(
        str(dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
        for kind in kinds
        for path in sorted(root.glob(f"*/{kind}.dcm"))
    )


def _injection(
    name: str, source: Source, injection: int, root: Path
) -> tuple[Exam, NDArray[np.uint8]]:
    """Write one clip of a study and what was found in it."""
    directory = root / str(injection)
    directory.mkdir()
    found = _findings(source)
    frames = _frames(source, found)
    header = _header(name, source, injection)
    exam = Exam(
        study_uid=str(header.StudyInstanceUID),
        injection=injection,
        clips=(Clip(path=directory / "clip.dcm", header=header, frame_times_s=found.times_s),),
        contrast=source.contrast,
        bmode=source.bmode,
        layout=source.layout,
        spacing_mm=example.SPACING_MM,
        colour_map="grey" if source.photometric == "MONOCHROME2" else "amber",
        dynamic_range_db=60.0,
        dynamic_range_source="vendor",
    )
    _write_clip(exam.clips[0], source, frames)
    when = example.context().when
    context = exam_context(exam, models=found.models, recipe="recipe 1", when=when)
    write_outputs(exam, found, context, directory)
    return exam, frames


def _findings(source: Source) -> Findings:
    found = example.findings()
    curves = tuple(
        replace(curve, power=curve.power[KEPT], fitted=curve.fitted[KEPT]) for curve in found.curves
    )
    return replace(
        found,
        times_s=found.times_s[KEPT] - found.times_s[KEPT.start],
        reference_frame=REFERENCE,
        shift_px=found.shift_px[KEPT],
        kept=found.kept[KEPT],
        curves=curves,
        bmode_image=found.bmode_image if source.bmode else None,
    )


def _frames(source: Source, found: Findings) -> NDArray[np.uint8]:
    """The example's panes where this source has them, (T, R, C, 3)."""
    shown = example.frames(example.findings())[KEPT]
    frames = np.zeros((len(found.times_s), source.rows, source.columns, 3), np.uint8)
    frames[:, *source.contrast.slices] = shown[:, *example.CONTRAST.slices]
    if source.bmode is not None:
        frames[:, *source.bmode.slices] = shown[:, *example.BMODE.slices]
    if source.photometric == "MONOCHROME2":
        frames[:] = frames.max(axis=-1, keepdims=True)
    return frames


def _header(name: str, source: Source, injection: int) -> Dataset:
    ds = example.header()
    ds.StudyInstanceUID = derived_uid("OHIF", name)
    ds.SeriesInstanceUID = derived_uid("OHIF", name, "series")
    ds.SOPInstanceUID = derived_uid("OHIF", name, injection)
    ds.PatientID = f"TEST-{list(SOURCES).index(name)}"
    ds.InstanceNumber = injection
    ds.ContentTime = f"10{20 + 10 * injection}00"
    ds.Rows, ds.Columns, ds.NumberOfFrames = source.rows, source.columns, KEPT.stop - KEPT.start
    ds.PhotometricInterpretation = source.photometric
    panes = [box for box in (source.bmode, source.contrast) if box is not None]
    ds.SequenceOfUltrasoundRegions = [example._region(box) for box in panes]
    if source.photometric == "MONOCHROME2":
        ds.SamplesPerPixel = 1
        del ds.PlanarConfiguration
    if source.photometric == "YBR_FULL_422":
        ds.LossyImageCompression = "01"
        ds.LossyImageCompressionRatio = "10"
        ds.LossyImageCompressionMethod = "ISO_10918_1"
    return ds


def _write_clip(clip: Clip, source: Source, frames: NDArray[np.uint8]) -> None:
    ds = Dataset()
    ds.update(clip.header)
    ds.file_meta = FileMetaDataset()
    if source.photometric == "YBR_FULL_422":
        ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        ds.PixelData = encapsulate([jpeg(frame) for frame in frames])
    elif source.rle:
        ds.file_meta.TransferSyntaxUID = RLELossless
        ds.PixelData = encapsulate([packbits(frame) for frame in frames])
    else:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        samples = frames[..., 0] if source.photometric == "MONOCHROME2" else frames
        ds.PixelData = samples.tobytes() + b"\0" * (samples.size % 2)
    ds["PixelData"].VR = "OB"
    ds.save_as(clip.path, enforce_file_format=True)
