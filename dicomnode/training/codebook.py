"""Train the population codebook of perfusion sub-regions on simulated exams; write its bundle.

The simulator says which kind every pixel is, so each sub-region is the Gaussian of the pixels of
its kind: numbers and names are the simulator's. A site's exams have no such truth: see
:mod:`dicomnode.training.site.codebook`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage

from dicomnode.inference.bundle import Channel, Manifest, Source
from dicomnode.inference.figures import Figure
from dicomnode.pipeline import measure_lesion
from dicomnode.recipe import Recipe
from dicomnode.science.findings import UNRELIABLE
from dicomnode.science.loop import summary_images
from dicomnode.science.motion import register
from dicomnode.science.perfusion import Perfusion
from dicomnode.science.subregions import divide, pixel_features
from dicomnode.science.subregions.codebook import FEATURE_NAMES, KINDS, Codebook
from dicomnode.simulation.exam import SimulatedExam
from dicomnode.training.card import UNSIGNED, write_bundle
from dicomnode.training.exams import SIMULATED_EXAMS, Case, cases, on_reference
from dicomnode.training.scoring.scores import agreement
from dicomnode.training.scoring.statistics import mean_figure

__all__ = [
    "WRONG_RANGE_DB",
    "CodebookSettings",
    "TrainingPixels",
    "learnt",
    "together",
    "train",
    "training_pixels",
]

LEARN_FROM_QOF = 0.1
"""Pixels fitted worse than this are not learnt from."""
MIN_QOF = 0.05
"""Pixels fitted worse than this are unreliable in the node; non-perfused ones fit worst."""
WRONG_RANGE_DB = (-10.0, 10.0)
"""Every exam is learnt from once more with a dynamic range that is wrong by one of these: where the
file does not tell the range, it is a guess."""


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
    exams: int = 100
    held_out_exams: int = 30
    seed: int = 1
    version: str = "1"


@dataclass(frozen=True, kw_only=True)
class _Patient:
    """One lesion within its true outline, and what its pixels truly are (R, C)."""

    perfusion: Perfusion
    truth: NDArray[np.uint8]
    spacing_mm: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class TrainingPixels:
    """What one patient teaches: features (N, 4) and kinds (N,) of pixels amid their own kind."""

    features: NDArray[np.float64]
    kinds: NDArray[np.uint8]


def train(settings: CodebookSettings) -> Path:
    """Measure the cohort, learn the codebook, compare with the truth, return the folder."""
    chosen = cases("codebook", settings.exams, settings.seed)
    groups = [_group(case, number) for number, case in enumerate(track(chosen, "codebook"))]
    held_out = cases("codebook-held-out", settings.held_out_exams, settings.seed)
    unseen = [_patient(case.simulate()) for case in track(held_out, "held out")]
    stability = _split_half(groups, unseen)
    codebook = replace(learnt(groups), stability=((len(KINDS), stability),))
    described = manifest(
        codebook,
        trained_on="simulated exams",
        licence="Apache-2.0",
        source=SIMULATED_EXAMS,
        figures=_figures(codebook, unseen),
        version=settings.version,
    )
    return write_bundle(settings.bundle, described, codebook.to_json().encode())


def _group(case: Case, number: int) -> TrainingPixels:
    """Learn each patient twice, as stated and with the dynamic range taken for a wrong one."""
    exam = case.simulate()
    wrong_db = exam.loop.dynamic_range_db + WRONG_RANGE_DB[number // 4 % 2]
    wrong = replace(exam, loop=replace(exam.loop, dynamic_range_db=wrong_db))
    return together([_pixels_of(_patient(each)) for each in (exam, wrong)])


def together(groups: Sequence[TrainingPixels]) -> TrainingPixels:
    """Make one group of several."""
    return TrainingPixels(
        features=np.concatenate([each.features for each in groups]),
        kinds=np.concatenate([each.kinds for each in groups]),
    )


def _patient(exam: SimulatedExam) -> _Patient:
    motion = register(exam.loop)
    lesion = on_reference(exam.truth.lesion_mask, exam, motion.reference)
    images = summary_images(exam.loop, motion)
    return _Patient(
        perfusion=measure_lesion(exam.loop, lesion, images, motion, Recipe()).perfusion,
        truth=on_reference(exam.truth.subregion_map, exam, motion.reference),
        spacing_mm=exam.loop.spacing_mm,
    )


def _pixels_of(patient: _Patient) -> TrainingPixels:
    return training_pixels(patient.perfusion, patient.truth)


def training_pixels(perfusion: Perfusion, truth: NDArray[np.uint8]) -> TrainingPixels:
    """Features and kinds of well-fitted pixels amid their own kind; ``truth`` is (R, C)."""
    lesion = perfusion.regions.lesion
    tissue = perfusion.within(perfusion.regions.tissue)
    features = pixel_features(perfusion.within(lesion), tissue)
    inside = lesion[perfusion.fitted]
    amid = ndimage.minimum_filter(truth, 3) == ndimage.maximum_filter(truth, 3)
    good = (perfusion.fit.qof[inside] >= LEARN_FROM_QOF) & ~perfusion.fit.failed[inside]
    chosen = good & amid[lesion] & (truth[lesion] > 0)
    return TrainingPixels(features=features[chosen], kinds=truth[lesion][chosen])


def learnt(groups: Sequence[TrainingPixels]) -> Codebook:
    """Give each kind the Gaussian of its pixels of all patients alike."""
    everything = together(groups)
    members = [
        everything.features[everything.kinds == number] for number in range(1, len(KINDS) + 1)
    ]
    fewest = min(len(each) for each in members)
    if fewest <= len(FEATURE_NAMES):
        raise ValueError(
            f"codebook: expected more than {len(FEATURE_NAMES)} pixels of each kind, got "
            f"{fewest} of the rarest; train on more exams"
        )
    counts = np.array([len(each) for each in members], np.float64)
    return Codebook(
        features=FEATURE_NAMES,
        names=KINDS,
        means=np.array([each.mean(axis=0) for each in members]),
        covariances=np.array([np.cov(each.T) + 1e-4 * np.eye(each.shape[1]) for each in members]),
        weights=counts / counts.sum(),
        min_qof=MIN_QOF,
        patients=len(groups),
    )


def _split_half(groups: Sequence[TrainingPixels], unseen: Sequence[_Patient]) -> float:
    """Mean adjusted Rand index between the maps of two codebooks, each learnt from one half."""
    halves = [[each for i, each in enumerate(groups) if i // 2 % 2 == half] for half in (0, 1)]
    one, other = learnt(halves[0]), learnt(halves[1])
    return float(
        np.mean(
            [
                agreement(
                    divide(patient.perfusion, one, patient.spacing_mm),
                    divide(patient.perfusion, other, patient.spacing_mm),
                ).rand
                for patient in unseen
            ]
        )
    )


def _figures(codebook: Codebook, unseen: Sequence[_Patient]) -> tuple[Figure, ...]:
    maps = [divide(patient.perfusion, codebook, patient.spacing_mm) for patient in unseen]
    against = [agreement(m, patient.truth) for m, patient in zip(maps, unseen, strict=True)]
    unreliable = [float(np.mean(m[m > 0] == UNRELIABLE)) for m in maps]
    conditions = (
        f"{len(unseen)} simulated exams of other seeds, preset small, true lesion outline, "
        "pixels with a sub-region"
    )
    means = {
        "mean adjusted Rand index to the truth": [each.rand for each in against],
        "mean share of pixels truly numbered": [each.same for each in against],
        "mean share of unreliable pixels": unreliable,
    }
    return (
        *(mean_figure(name, values, conditions) for name, values in means.items()),
        Figure(
            name="split-half adjusted Rand index",
            value=codebook.stability[0][1],
            conditions=f"codebooks from two halves of the training exams, on {len(unseen)} others",
        ),
    )


def manifest(
    codebook: Codebook,
    *,
    trained_on: str,
    licence: str,
    source: Source,
    figures: tuple[Figure, ...],
    version: str,
) -> Manifest:
    """Describe a codebook and what it was learnt from."""
    return Manifest(
        name="codebook",
        version=version,
        task="sub-regions",
        file="codebook.json",
        sha256=UNSIGNED,
        trained_on=trained_on,
        licence=licence,
        intended_use=(
            "Divides a breast lesion into perfusion sub-regions that mean the same in every "
            "patient, for a radiologist to look at. Research use."
        ),
        inputs=tuple(
            Channel(name=name, meaning=meaning, normalisation="none")
            for name, meaning in MEANINGS.items()
        ),
        output=f"sub-region numbers 1 to {len(codebook.names)}: {', '.join(codebook.names)}",
        training_data=(source,),
        figures=figures,
    )


MEANINGS = {
    "log relative PE": "ln of peak enhancement over that of reference tissue",
    "relative delay": "instant of the peak minus that of reference tissue, over its rise time",
    "log relative FT": "ln of fall time over that of reference tissue",
    "log relative RT": "ln of rise time over that of reference tissue",
}
