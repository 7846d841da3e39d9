"""Simulated exams on disk with their lesions outlined as a person would: PNG of the frame, SEG."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from conformance import example
from dicomnode.dicom.box import Box
from dicomnode.dicom.context import exam_context
from dicomnode.dicom.exam import Exam, ReadSettings, load_loop, read_study
from dicomnode.dicom.results.seg import segmentation
from dicomnode.science.motion import register
from dicomnode.science.sampling import Motion
from dicomnode.simulation.cohort import recipe_for
from dicomnode.simulation.exam import SimulatedExam, simulate
from dicomnode.simulation.writer import write
from dicomnode.training.exams import on_reference

TINY = {"rows": 96, "columns": 112, "spacing_mm": 0.3, "frames": 112, "size_mm": 10.0}


@dataclass(frozen=True, kw_only=True)
class Written:
    """An exam as it was simulated and as it is read back."""

    simulated: SimulatedExam
    exam: Exam
    folder: Path
    motion: Motion

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.exam.header.Rows), int(self.exam.header.Columns)

    def lesion(self, frame: int | None = None) -> NDArray[np.bool_]:
        """The true lesion in the pane, on a frame of the exam; the reference frame by default."""
        frame = self.motion.reference if frame is None else frame
        return on_reference(self.simulated.truth.lesion_mask, self.simulated, frame)

    def in_frame(self, pane: Box | None = None, frame: int | None = None) -> NDArray[np.bool_]:
        """The true lesion in the whole stored frame; in the contrast pane by default."""
        whole = np.zeros(self.shape, np.bool_)
        whole[(pane or self.exam.contrast).slices] = self.lesion(frame)
        return whole

    def write_seg(self, path: Path, frame: int | None = None) -> Path:
        """Write the true lesion and sub-regions in one SEG, drawn on a frame of the exam."""
        mask = self.lesion(frame)
        found = replace(
            example.findings(),
            reference_frame=self.motion.reference if frame is None else frame,
            spacing_mm=self.exam.spacing_mm,
            lesion_mask=mask,
            subregion_map=np.where(mask, 1 + np.indices(mask.shape)[0] % 2, 0).astype(np.uint8),
            ring_mask=np.zeros_like(mask),
        )
        when = datetime(2025, 1, 6, tzinfo=UTC)
        context = exam_context(self.exam, models=found.models, recipe="none", when=when)
        lesion = segmentation(self.exam, found, context, "lesion")
        regions = segmentation(self.exam, found, context)
        in_one(lesion, regions).save_as(path, enforce_file_format=True)
        return path


def in_one(lesion: Dataset, regions: Dataset) -> Dataset:
    """Put the lesion before the sub-regions, as a person's viewer may store them."""
    masks = [lesion.pixel_array.reshape(1, lesion.Rows, lesion.Columns), regions.pixel_array]
    groups = regions.PerFrameFunctionalGroupsSequence
    for number, (segment, group) in enumerate(
        zip(regions.SegmentSequence, groups, strict=True), start=2
    ):
        segment.SegmentNumber = number
        group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = number
    lesion.SegmentSequence = [*lesion.SegmentSequence, *regions.SegmentSequence]
    lesion.PerFrameFunctionalGroupsSequence = [*lesion.PerFrameFunctionalGroupsSequence, *groups]
    frames = np.concatenate(masks)
    lesion.NumberOfFrames = len(frames)
    data = np.packbits(frames.ravel(), bitorder="little").tobytes()
    lesion.PixelData = data + b"\0" * (len(data) % 2)
    return lesion


def written(folder: Path, seed: int, layout: str = "mono-left", **choices: object) -> Written:
    """Simulate a tiny exam into a folder of its own."""
    kind = "benign" if seed % 2 else "malignant"
    recipe = recipe_for(kind, seed, preset="small", layout=layout, **TINY | choices)
    simulated = simulate(recipe)
    (exam,) = read_study(write(simulated, folder), ReadSettings()).exams
    motion = register(load_loop(exam))
    return Written(simulated=simulated, exam=exam, folder=folder, motion=motion)


def draw(path: Path, mask: NDArray[np.bool_]) -> Path:
    """Write a mask as a PNG, white on black."""
    Image.fromarray(255 * mask.astype(np.uint8)).save(path)
    return path


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def table(path: Path, rows: Mapping[str, str], patients: Mapping[str, str] | None = None) -> Path:
    """Write cases.csv: case to outline, and whose case it is where it is not its own patient."""
    lines = [f"{case},,{(patients or {}).get(case, '')},{lesion}" for case, lesion in rows.items()]
    path.write_text("\n".join(["case,label,patient,lesion", *lines]) + "\n", encoding="utf-8")
    return path
