"""Train the benign-or-malignant classifier on simulated exams or a site's own; write its bundle."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Channel, Manifest, Source, Tensor, Tensors, load
from dicomnode.inference.figures import Figure
from dicomnode.recipe import Recipe
from dicomnode.report.accuracy import Caption
from dicomnode.science.feature_table import FEATURES
from dicomnode.training.card import (
    UNSIGNED,
    Trained,
    measured_with,
    notice,
    refusals,
    write_bundle,
)
from dicomnode.training.changes import PAIRS
from dicomnode.training.diagnosis.learning_curve import learning_curve
from dicomnode.training.diagnosis.learnt import (
    Learnt,
    Reader,
    figures,
    learning_figures,
    reader_figures,
    readers_of,
)
from dicomnode.training.diagnosis.logistic import as_onnx, fit
from dicomnode.training.diagnosis.training_report import training_report
from dicomnode.training.exams import SIMULATED_EXAMS, cases
from dicomnode.training.measured import (
    MEASURING,
    FeatureCache,
    FeatureTable,
    Subject,
)
from dicomnode.training.scoring.scores import icc
from dicomnode.training.site.cohort import SiteCohort, read_cohort, reading_of, too_few
from dicomnode.version import __version__

__all__ = ["ClassifierSettings", "train"]

REPEATABLE = 0.75
"""Least intraclass correlation of a feature between either two of PAIRS."""
FEWEST_REPEATS = 2
"""Without two exams there is no correlation."""


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """Everything that decides how the classifier comes out.

    Attributes
    ----------
    models : Path
        Folder with the ``segmenter`` and ``codebook`` bundles that the node will use.
    bundle : Path
        Folder the bundle is written to.
    work : Path
        Where measured features are kept; an interrupted run goes on from there.
    cohort : Path or None
        A site's table of cases, see :func:`dicomnode.training.site.cohort.read_cohort`; simulated
        exams where there is none.
    recipe : Recipe
        What the site's node will measure with.
    exams : int
        Simulated patients, malignant and benign in turn.
    repeats : int
        How many exams are measured four times more, on every other frame and within other outlines,
        to find the features that repeat.
    coverage : float
        Share of exams, of either kind, whose true kind the conformal set holds.
    jobs : int
        Processes that share the exams; nothing depends on it.
    """

    models: Path
    bundle: Path
    work: Path
    cohort: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    exams: int = 200
    repeats: int = 40
    coverage: float = 0.9
    seed: int = 1
    jobs: int = 1
    version: str = "1"


@dataclass(frozen=True, kw_only=True)
class _Words:
    """What manifest and card say of the exams that were learnt from."""

    trained_on: str
    conditions: str
    population: str
    licence: str
    source: Source

    @property
    def answered(self) -> str:
        """The conditions, and which answers to those exams are looked at."""
        return f"{self.conditions}; answers of outer folds of nested cross-validation"


def train(settings: ClassifierSettings) -> Trained:
    """Measure the cohort, fit by nested cross-validation, and write the bundle.

    Raises
    ------
    SettingsError
        The site's table has rows that cannot be used, or too few patients of a kind.
    BundleError
        Too few exams could be measured, or no feature repeats.
    """
    cache = FeatureCache(settings.work, settings.models, settings.recipe, settings.jobs)
    if settings.cohort is None:
        table = cache.table(cases("classifier", settings.exams, settings.seed))
        return _written(_learn(table, cache, settings), _of_simulation(table), settings)
    cohort = read_cohort(settings.cohort, labelled=True, settings=reading_of(settings.recipe))
    table = cache.table(cohort.shuffled())
    if few := too_few(table.measured):
        refused = "; ".join(f"{each.name}: {', '.join(each.reasons)}" for each in table.refused)
        raise BundleError(f"classifier: after refusals: {few}", hint=f"refused: {refused}")
    learnt = _learn(table, cache, settings)
    return _written(learnt, _of_site(table, cohort), settings, readers_of(cohort, table))


def _learn(table: FeatureTable, cache: FeatureCache, settings: ClassifierSettings) -> Learnt:
    again = table.measured[: settings.repeats]
    varies = table.features.std(axis=0) > 1e-9
    kept = np.flatnonzero((_repeatability(cache, again) >= REPEATABLE) & varies)
    if not kept.size:
        raise BundleError(
            f"classifier: expected features that repeat (ICC of at least {REPEATABLE}), found none",
            hint="are the cohort's loops long enough to be measured on every other frame?",
        )
    x, seed = table.features[:, kept], settings.seed
    fitted = fit(
        x, table.is_malignant, coverage=settings.coverage, seed=seed, patients=table.patients
    )
    growth = learning_curve(x, table.is_malignant, table.patients, fitted.folds, seed)
    return Learnt(table=table, kept=kept, fitted=fitted, growth=growth)


def _repeatability(cache: FeatureCache, subjects: Sequence[Subject]) -> NDArray[np.float64]:
    """Least intraclass correlation of each of FEATURES over the pairs of measurements."""
    pairs = cache.pairs(subjects)
    for name, (first, _) in pairs.items():
        if len(first) < FEWEST_REPEATS:
            raise BundleError(
                f"classifier: {name}: expected at least {FEWEST_REPEATS} exams that can be "
                f"measured either way, got {len(first)} of {len(subjects)}",
                hint="loops of fewer than 100 frames have too few left when every other is taken",
            )
    return np.asarray(np.min([icc(*pair) for pair in pairs.values()], axis=0))


def _of_simulation(table: FeatureTable) -> _Words:
    return _Words(
        trained_on="simulated exams",
        conditions=(
            f"{len(table.measured)} simulated exams, preset small ({len(table.refused)} more "
            "refused), half malignant"
        ),
        population="the simulated population only, half of it malignant",
        licence="Apache-2.0",
        source=SIMULATED_EXAMS,
    )


def _of_site(table: FeatureTable, cohort: SiteCohort) -> _Words:
    count, malignant = len(table.measured), int(table.is_malignant.sum())
    patients = len(np.unique(table.patients))
    trained_on = f"{count} cases of this site, {malignant} malignant"
    return _Words(
        trained_on=trained_on,
        conditions=(
            f"{trained_on}, {patients} patients ({len(table.refused)} more cases refused), no "
            "patient on both sides of a fold"
        ),
        population=f"patients such as this site's, {malignant / count:.0%} of them malignant",
        licence="the site's own",
        source=cohort.source(count),
    )


def _written(
    learnt: Learnt,
    words: _Words,
    settings: ClassifierSettings,
    readers: tuple[Reader, ...] = (),
) -> Trained:
    table = learnt.table
    found = (
        *figures(learnt, _conditions(learnt, words, settings.models)),
        *learning_figures(learnt, words.conditions),
        *reader_figures(learnt, readers),
        *refusals(table.refused, len(table.measured) + len(table.refused)),
    )
    content = as_onnx(learnt.fitted.linear)
    manifest = _manifest(learnt, words, found, settings)
    report = training_report(learnt, readers, _caption(words, settings, content))
    bundle = write_bundle(settings.bundle, manifest, content, report=report)
    return Trained(bundle=bundle, figures=found, refused=table.refused)


def _conditions(learnt: Learnt, words: _Words, models: Path) -> str:
    before = [load(models / name) for name in MEASURING]
    return (
        f"{words.answered}; {len(learnt.kept)} of {len(FEATURES)} features repeat "
        f"(ICC >= {REPEATABLE}) between {' and between '.join(PAIRS)}{measured_with(before)}"
    )


def _caption(words: _Words, settings: ClassifierSettings, content: bytes) -> Caption:
    digest = hashlib.sha256(content).hexdigest()
    return Caption(
        title="How well the classifier learnt",
        notice=notice(words.trained_on),
        conditions=words.answered,
        software=f"dicomnode {__version__} · classifier {settings.version} {digest[:8]}",
    )


def _manifest(
    learnt: Learnt, words: _Words, found: tuple[Figure, ...], settings: ClassifierSettings
) -> Manifest:
    features, fitted = [FEATURES[index] for index in learnt.kept], learnt.fitted
    return Manifest(
        name="classifier",
        version=settings.version,
        task="classification",
        file="model.onnx",
        sha256=UNSIGNED,
        trained_on=words.trained_on,
        licence=words.licence,
        intended_use=(
            "Estimates from perfusion features whether a breast lesion is malignant, to be read "
            "beside the images by a radiologist. Research use; the probability holds for "
            f"{words.population}."
        ),
        inputs=tuple(
            Channel(name=each.name, meaning=each.meaning, normalisation="none") for each in features
        ),
        output="probability of malignancy, or an abstention; ONNX: before [calibration.beta]",
        tensors=Tensors(
            input=Tensor(name="features", shape=(-1, len(features))),
            output=Tensor(name="probabilities", shape=(-1, 2)),
        ),
        training_data=(words.source,),
        figures=found,
        linear=fitted.linear,
        calibration=fitted.calibration,
        distribution=fitted.distribution,
    )
