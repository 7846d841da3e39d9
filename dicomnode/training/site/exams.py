"""A site's exams for its segmenter: their summary images and the lesions outlined there.

They are what the node shows its segmenter, on the pane's own pixels, and are kept on disk.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from rich.progress import track

from dicomnode.dicom.exam import Exam, load_loop
from dicomnode.dicom.exam.clip import ULTRASOUND
from dicomnode.dicom.header import read_header
from dicomnode.errors import InputError, RefusedError
from dicomnode.recipe import METHOD_VERSION, Recipe
from dicomnode.science.loop import summary_images
from dicomnode.science.motion import register
from dicomnode.training.measured import Refusal, codes_of, name_of_recipe
from dicomnode.training.segmentation.samples import Sample
from dicomnode.training.site.cohort import SiteCase, SiteCohort
from dicomnode.training.site.outline import (
    Outline,
    check_clips,
    in_pane,
    on_reference,
    read_outline,
)
from dicomnode.training.site.table import refuse_lines

__all__ = ["OutlinedExam", "Seen", "held_out", "outlined_exams"]

Mask = NDArray[np.bool_]

HELD_OUT = 5
"""Every so many-th patient is not learnt from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """Summary images of an exam and its lesion, all (R, C) of a pane on the reference frame."""

    images: Mapping[str, NDArray[np.float32]]
    mask: Mask
    spacing_mm: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class OutlinedExam:
    """An exam whose lesion is outlined, and the file it is kept in."""

    patient: str
    path: Path

    def seen(self) -> Seen:
        """Read what was kept."""
        with np.load(self.path) as kept:
            parts = {name: kept[name] for name in kept.files}
        row_mm, column_mm = parts.pop("spacing_mm").tolist()
        return Seen(mask=parts.pop("mask"), images=parts, spacing_mm=(row_mm, column_mm))

    def sample(self) -> Sample:
        """Give it to a network to learn from."""
        seen = self.seen()
        return Sample.of(
            seen.images,
            seen.mask,
            group=f"site-{self.patient}",
            origin="site",
            spacing_mm=seen.spacing_mm,
        )


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """A case with its outline, and the file that the exam is kept in."""

    case: SiteCase
    outline: Outline
    path: Path

    def refusal(self, error: RefusedError | InputError) -> Refusal:
        return Refusal(name=self.case.name, reasons=codes_of(error))


@dataclass(frozen=True, kw_only=True)
class _Found:
    """An exam that was looked at, and the outline in its pane."""

    drawn: _Drawn
    exam: Exam
    mask: Mask


def outlined_exams(
    cohort: SiteCohort, work: Path, recipe: Recipe
) -> tuple[tuple[OutlinedExam, ...], tuple[Refusal, ...]]:
    """Summarise the exams whose lesion is outlined; what was kept is not read again.

    All outlines are held against the headers before any frame is decoded, and against the panes
    before any loop is.

    Parameters
    ----------
    cohort : SiteCohort
    work : Path
        Where exams are kept by the digests of their files; an interrupted run goes on from there.
    recipe : Recipe
        As the node will use it.

    Returns
    -------
    exams : tuple of OutlinedExam
    refused : tuple of Refusal
        What the node would not decode, and lesions outlined on a frame out of plane.

    Raises
    ------
    SettingsError
        With every outline that cannot be used.
    """
    folder = work / f"outlined-{METHOD_VERSION}{name_of_recipe(recipe)}"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = _drawn(cohort, folder)
    found, undecoded = _in_panes([each for each in drawn if not each.path.exists()], cohort)
    unusable = list(_summarised(found))
    exams = tuple(
        OutlinedExam(patient=each.case.patient, path=each.path)
        for each in drawn
        if each.path.exists()
    )
    return exams, (*undecoded, *unusable)


def held_out(patients: Iterable[str], seed: int) -> frozenset[str]:
    """Choose a fifth of the patients by hash of name and seed: mostly the same as others join."""
    ranked = sorted(
        set(patients), key=lambda patient: sha256(f"{seed} {patient}".encode()).digest()
    )
    return frozenset(ranked[: len(ranked) // HELD_OUT])


def _drawn(cohort: SiteCohort, folder: Path) -> list[_Drawn]:
    """Read all outlines and hold them against the headers."""
    drawn, faults = [], []
    for case in cohort.outlined():
        assert case.lesion is not None, "the case is outlined"
        try:
            outline = read_outline(case.lesion)
            if clips := list(_clips(case)):
                check_clips(outline, clips)
        except InputError as error:
            faults.append((case.line, f"lesion: {error}"))
        else:
            digest = sha256(case.lesion.read_bytes()).hexdigest()
            path = folder / f"{case.key[:32]}-{digest[:32]}.npz"
            drawn.append(_Drawn(case=case, outline=outline, path=path))
    refuse_lines(cohort.path, faults)
    return drawn


def _clips(case: SiteCase) -> Iterator[Dataset]:
    """Headers of a case's ultrasound images; without any, the node will say why."""
    for path in case.files:
        try:
            header = read_header(path).dataset
        except InputError:
            continue
        if str(header.get("SOPClassUID", "")) in ULTRASOUND:
            yield header


def _in_panes(drawn: Sequence[_Drawn], cohort: SiteCohort) -> tuple[list[_Found], list[Refusal]]:
    """Find the exams' panes and hold the outlines against them."""
    found, refused, faults = [], [], []
    for each in track(drawn, "finding panes"):
        try:
            exam = each.case.exam()
        except (RefusedError, InputError) as error:
            refused.append(each.refusal(error))
            continue
        try:
            found.append(_Found(drawn=each, exam=exam, mask=in_pane(each.outline, exam)))
        except InputError as error:
            faults.append((each.case.line, f"lesion: {error}"))
    refuse_lines(cohort.path, faults)
    return found, refused


def _summarised(found: Sequence[_Found]) -> Iterator[Refusal]:
    """Decode and keep the exams; yield what cannot be."""
    for each in track(found, "summarising"):
        try:
            seen = _seen(each)
        except (RefusedError, InputError) as error:
            yield each.drawn.refusal(error)
        else:
            _keep(each.drawn.path, seen)


def _seen(found: _Found) -> Seen:
    loop = load_loop(found.exam)
    motion = register(loop)
    return Seen(
        images=summary_images(loop, motion),
        mask=on_reference(found.mask, found.drawn.outline, found.exam, motion),
        spacing_mm=loop.spacing_mm,
    )


def _keep(path: Path, seen: Seen) -> None:
    partial = path.with_suffix(".partial.npz")
    parts: dict[str, Any] = {**seen.images, "mask": seen.mask, "spacing_mm": seen.spacing_mm}
    np.savez_compressed(partial, **parts)
    partial.replace(path)
