"""The method on one page: what is done to an exam, in order.

:func:`analyse_study` is the whole of it; :func:`measure` is the same from arrays on, which is what
training uses, so that a model meets in the node what it met when it was made.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.exam import Exam, LeftOut, ReadSettings, load_loop, read_study
from dicomnode.dicom.exam.injections import NO_CLOCK
from dicomnode.errors import BrokenClipError, Reason, RefusedError, printable
from dicomnode.inference.models import LesionSegmenter, Models
from dicomnode.inference.segment import Segmentation
from dicomnode.recipe import Recipe
from dicomnode.science import quality
from dicomnode.science.describe import (
    describe_curves,
    describe_lesion,
    describe_subregions,
    describe_tissue,
    describe_whole,
)
from dicomnode.science.features import lesion_features
from dicomnode.science.findings import UNRELIABLE, Bolus, Diagnosis, Findings
from dicomnode.science.loop import Loop, static_bright, summary_images
from dicomnode.science.motion import register
from dicomnode.science.perfusion import Perfusion, Regions, measure_perfusion
from dicomnode.science.regions import enhanced_region, enlargement_ratio, reference_tissue, ring
from dicomnode.science.sampling import Motion, align_whole, swept
from dicomnode.science.subregions import divide
from dicomnode.science.subregions.codebook import Codebook
from dicomnode.science.subregions.stability import stability

__all__ = [
    "AnalysedStudy",
    "Measured",
    "Result",
    "Timing",
    "analyse_exam",
    "analyse_study",
    "measure",
    "measure_lesion",
]

Mask = NDArray[np.bool_]
Images = dict[str, NDArray[np.float32]]

_PEAK_FRAMES = 7
"""Frames of the picture at peak enhancement."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """An exam after analysis: findings, or the reasons why there are none."""

    exam: Exam
    findings: Findings | None
    reasons: tuple[Reason, ...] = ()
    timing_s: Mapping[str, float] = field(default_factory=dict)
    broken: Path | None = None
    """The clip that is the reason, where it is one."""


@dataclass(frozen=True, kw_only=True)
class AnalysedStudy:
    """A study after analysis: a result for each injection, and what is of none."""

    results: tuple[Result, ...]
    left_out: tuple[LeftOut, ...]


class Timing(dict[str, float]):
    """Seconds spent by name of step."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self[name] = round(self.get(name, 0.0) + time.perf_counter() - start, 3)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A lesion's perfusion, before any sub-region or diagnosis."""

    motion: Motion
    perfusion: Perfusion
    enlargement_ratio: float | None


def analyse_study(paths: Sequence[Path], models: Models, recipe: Recipe) -> AnalysedStudy:
    """Analyse every injection that is found in the files of a study.

    Where one of an exam's clips turns out to be broken as it is decoded, the study is read again
    without it: other clips that were left out for its sake may then have their turn.
    """
    settings = ReadSettings(
        dynamic_range_db=recipe.dynamic_range_db,
        dynamic_range_by_model=recipe.dynamic_range_by_model,
    )
    broken: dict[Path, Reason] = {}
    while True:
        study = read_study(paths, settings, broken)
        told = tuple(f"left out: {reason.text}" for reason in broken.values())
        try:
            results = tuple(
                _unless_broken(replace(exam, warnings=(*exam.warnings, *told)), models, recipe)
                for exam in study.exams
            )
        except BrokenClipError as clip:
            broken[clip.path] = clip.reason
        else:
            return AnalysedStudy(results=results, left_out=study.left_out)


def _unless_broken(exam: Exam, models: Models, recipe: Recipe) -> Result:
    """Analyse an exam; a broken clip that is all of it is a refusal like any other.

    Unless others were left out for its sake: then it is their turn.
    """
    result = analyse_exam(exam, models, recipe)
    others = len(exam.clips) > 1 or any(left.reason.code == NO_CLOCK for left in exam.left_out)
    if result.broken is not None and others:
        raise BrokenClipError(result.broken, result.reasons[0])
    return result


def analyse_exam(exam: Exam, models: Models, recipe: Recipe) -> Result:
    """Analyse one exam. A refusal is a result, too; only a fault of ours raises."""
    timing = Timing()
    try:
        with timing.step("decode"):
            loop = load_loop(exam)
        findings = measure(loop, models, recipe, timing)
    except RefusedError as refused:
        return Result(exam=exam, findings=None, reasons=refused.reasons, timing_s=timing)
    except BrokenClipError as clip:
        reasons = (clip.reason,)
        return Result(exam=exam, findings=None, reasons=reasons, timing_s=timing, broken=clip.path)
    return Result(exam=exam, findings=findings, timing_s=timing)


def measure(loop: Loop, models: Models, recipe: Recipe, timing: Timing | None = None) -> Findings:
    """Measure, divide and judge the lesion in a loop.

    Raises
    ------
    RefusedError
        There is no bolus, no lesion, or too little that can be measured.
    """
    timing = Timing() if timing is None else timing
    with timing.step("quality"):
        _refuse(quality.refusals(quality.early(loop)))
    with timing.step("motion"):
        motion = register(loop)
        images = summary_images(loop, motion)
    with timing.step("segment"):
        outlined = _find_lesion(models.segmenter, images, loop)
        lesion = outlined.mask
    with timing.step("perfusion"):
        measured = measure_lesion(loop, lesion, images, motion, recipe)
        perfusion = measured.perfusion
    with timing.step("quality"):
        grades = quality.assess(
            loop, measured.motion, perfusion.lesion_curve, lesion, outlined.uncertainty
        )
        _refuse(quality.refusals(grades))
    incomparable = quality.incomparable(perfusion.regions.tissue)
    with timing.step("sub-regions"):
        subregion_map = (
            divide(perfusion, models.codebook, loop.spacing_mm)
            if "sub-regions" not in quality.withheld(grades) and not incomparable
            else np.where(lesion, UNRELIABLE, 0).astype(np.uint8)
        )
    with timing.step("diagnosis"):
        features = _features(measured, subregion_map, models.codebook, loop.spacing_mm)
        unjudged = (*quality.withholding(grades), *incomparable) or quality.unjudged(
            subregion_map, grades
        )
        diagnosis = (
            Diagnosis.withheld(*unjudged) if unjudged else models.classifier.classify(features)
        )
    with timing.step("stability"):
        repeated = stability(perfusion, models.codebook, subregion_map, loop.spacing_mm)
    with timing.step("describe"):
        subregions = describe_subregions(
            subregion_map, models.codebook.names, perfusion, loop.spacing_mm
        )
        return Findings(
            times_s=loop.times_s,
            spacing_mm=loop.spacing_mm,
            reference_frame=measured.motion.reference,
            dynamic_range_db=loop.dynamic_range_db,
            dynamic_range_source=loop.dynamic_range_source,
            shift_px=measured.motion.shift_px,
            kept=measured.motion.kept,
            bmode_image=None if loop.bmode is None else loop.bmode[measured.motion.reference],
            contrast_image=loop.contrast[measured.motion.reference],
            contrast_peak=_peak_picture(loop, measured.motion, perfusion.lesion_curve),
            lesion_mask=lesion,
            ring_mask=perfusion.regions.ring,
            tissue_mask=perfusion.regions.tissue,
            subregion_map=subregion_map,
            maps=perfusion.maps(),
            curves=describe_curves(perfusion, subregions, subregion_map),
            lesion=describe_lesion(
                lesion,
                loop.spacing_mm,
                measured.enlargement_ratio,
                probability=outlined.lesion_probability,
                uncertainty=outlined.uncertainty,
            ),
            subregions=subregions,
            whole=describe_whole(subregion_map, perfusion),
            tissue=describe_tissue(perfusion),
            bolus=Bolus(
                family=perfusion.fit.family.name,
                deviances=perfusion.fit.deviances,
                recirculation=perfusion.fit.recirculation.fraction,
                dispersion=perfusion.fit.dispersion,
            ),
            stability=repeated,
            features=features,
            diagnosis=diagnosis,
            quality=grades,
            models=models.uses,
            warnings=(*map(printable, loop.warnings), *(reason.text for reason in incomparable)),
        )


def measure_lesion(
    loop: Loop, lesion: Mask, images: Images, motion: Motion, recipe: Recipe
) -> Measured:
    """Measure a lesion's perfusion, given where it is.

    Parameters
    ----------
    loop : Loop
    lesion : ndarray of bool, shape (R, C)
        On the reference frame, at least one pixel.
    images : dict of name to ndarray
        Of :func:`dicomnode.science.loop.summary_images`.
    motion : Motion
        Of the whole pane; frames are registered once more around the lesion.
    recipe : Recipe

    Raises
    ------
    RefusedError
        Fewer usable frames than a fit needs.
    """
    motion = register(loop, lesion, reference=motion.reference)
    _refuse(quality.too_few_frames(motion.kept))
    graphics = swept(loop.graphics, motion)
    excluded = graphics | swept(static_bright(loop.contrast), motion)
    tissue = reference_tissue(images, lesion, excluded, loop.spacing_mm, recipe.ring_mm)
    around = ring(lesion, loop.spacing_mm, recipe.ring_mm) & ~graphics & ~tissue
    perfusion = measure_perfusion(
        loop,
        motion,
        Regions(lesion=lesion, ring=around, tissue=tissue),
        smoothing_px=recipe.smoothing_px,
        bins=recipe.time_bins,
    )
    return Measured(
        motion=motion,
        perfusion=perfusion,
        enlargement_ratio=_enlargement(loop, images, lesion, tissue),
    )


def _enlargement(loop: Loop, images: Images, lesion: Mask, tissue: Mask) -> float | None:
    """Area in contrast over area on B-mode; without a B-mode pane there is no such area."""
    if loop.bmode is None:
        return None
    enhanced = enhanced_region(images, lesion, tissue, loop.spacing_mm)
    return enlargement_ratio(enhanced, lesion)


def _refuse(reasons: tuple[Reason, ...]) -> None:
    if reasons:
        raise RefusedError(*reasons)


def _find_lesion(segmenter: LesionSegmenter, images: Images, loop: Loop) -> Segmentation:
    found = segmenter.segment(images, loop.spacing_mm)
    lesion: Mask = found.mask & ~loop.graphics
    if not lesion.any():
        what = "one that lies under burned-in graphics" if found.mask.any() else "none"
        raise RefusedError(
            Reason(
                "no-lesion",
                f"expected a lesion in the panes, the segmenter found {what} "
                f"(lesion probability {found.lesion_probability:.2f})",
            )
        )
    return replace(found, mask=lesion)


def _features(
    measured: Measured,
    subregion_map: NDArray[np.uint8],
    codebook: Codebook,
    spacing_mm: tuple[float, float],
) -> dict[str, float]:
    perfusion = measured.perfusion
    return lesion_features(
        subregion_map=subregion_map,
        names=codebook.names,
        maps=perfusion.maps(),
        lesion=perfusion.regions.lesion,
        ring=perfusion.regions.ring,
        tissue=perfusion.within(perfusion.regions.tissue),
        spacing_mm=spacing_mm,
        enlargement_ratio=measured.enlargement_ratio,
    )


def _peak_picture(loop: Loop, motion: Motion, curve: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Mean of the kept frames around the lesion's peak, each moved onto the reference."""
    kept = np.flatnonzero(motion.kept)
    peak = int(np.argmin(np.abs(kept - np.nanargmax(curve))))
    chosen = kept[max(0, peak - _PEAK_FRAMES // 2) : peak + _PEAK_FRAMES // 2 + 1]
    total = np.zeros(loop.shape, np.float32)
    for index in chosen:
        total += align_whole(loop.contrast[index], motion.shift_px[index])
    return np.rint(total / len(chosen)).astype(np.uint8)
