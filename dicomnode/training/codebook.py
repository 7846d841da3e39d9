"""Train the population codebook of perfusion sub-regions on simulated exams; write its bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from dicomnode.inference.bundle import Channel, Figure, Manifest
from dicomnode.pipeline import Recipe
from dicomnode.science.codebook import FEATURE_NAMES, KINDS, Codebook
from dicomnode.science.codebook_training import train_codebook
from dicomnode.science.fit import Fit
from dicomnode.science.loop import Loop, static_bright, summary_images
from dicomnode.science.motion import register
from dicomnode.science.perfusion import Perfusion, Regions, measure_perfusion
from dicomnode.science.regions import reference_tissue, ring
from dicomnode.science.sampling import Motion
from dicomnode.science.subregions import assign, pixel_features, unreliable
from dicomnode.training.card import UNSIGNED, write_bundle
from dicomnode.training.exams import SIMULATED_EXAMS, Case, cases, on_reference
from dicomnode.training.scores import map_agreement

__all__ = ["CodebookSettings", "train"]


@dataclass(frozen=True, kw_only=True)
class CodebookSettings:
    """Everything that decides how the codebook comes out.

    Attributes
    ----------
    bundle : Path
        Folder the bundle is written to.
    exams, held_out_exams : int
        Simulated patients to learn from, at least 80 for a codebook that holds, and others whose
        maps are compared with the truth.
    """

    bundle: Path
    exams: int = 120
    held_out_exams: int = 40
    seed: int = 1
    version: str = "1"


@dataclass(frozen=True, kw_only=True)
class _Patient:
    """One lesion within its true outline: pixel features (N, 4) and what they should become."""

    features: NDArray[np.float64]
    qof: NDArray[np.float64]
    failed: NDArray[np.bool_]
    lesion: NDArray[np.bool_]
    truth: NDArray[np.uint8]
    spacing_mm: tuple[float, float]

    def map(self, codebook: Codebook) -> NDArray[np.uint8]:
        """Divide the lesion as the node does."""
        poor = self.failed | (self.qof < codebook.min_qof)
        return assign(codebook, self.features, None, self.lesion, poor, self.spacing_mm)


def train(settings: CodebookSettings) -> Path:
    """Measure the cohort, learn the codebook, compare with the truth, return the folder."""
    learn = _measured(cases("codebook", settings.exams, settings.seed), "codebook")
    codebook = train_codebook([_reliable(patient) for patient in learn], seed=settings.seed)
    unseen = cases("codebook-held-out", settings.held_out_exams, settings.seed)
    figures = _figures(codebook, _measured(unseen, "held out"))
    content = codebook.to_json().encode()
    return write_bundle(settings.bundle, _manifest(codebook, figures, settings), content)


def _measured(chosen: Sequence[Case], words: str) -> list[_Patient]:
    return [_patient(case) for case in track(chosen, words)]


def _patient(case: Case) -> _Patient:
    exam = case.simulate()
    motion = register(exam.loop)
    lesion = on_reference(exam.truth.lesion_mask, exam, motion)
    perfusion = _perfusion(exam.loop, motion, lesion, Recipe())
    inside = lesion[perfusion.fitted]
    return _Patient(
        features=pixel_features(
            perfusion.within(lesion), perfusion.within(perfusion.regions.tissue)
        ),
        qof=perfusion.fit.qof[inside],
        failed=perfusion.fit.failed[inside],
        lesion=lesion,
        truth=on_reference(exam.truth.subregion_map, exam, motion),
        spacing_mm=exam.loop.spacing_mm,
    )


def _perfusion(
    loop: Loop, motion: Motion, lesion: NDArray[np.bool_], recipe: Recipe
) -> Perfusion:
    images = summary_images(loop, motion)
    excluded = loop.graphics | static_bright(loop.contrast)
    regions = Regions(
        lesion=lesion,
        ring=ring(lesion, loop.spacing_mm, recipe.ring_mm),
        tissue=reference_tissue(images, lesion, excluded, loop.spacing_mm),
    )
    return measure_perfusion(
        loop, motion, regions, smoothing_px=recipe.smoothing_px, bins=recipe.time_bins
    )
