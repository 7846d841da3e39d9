"""Train the benign-or-malignant classifier on simulated exams or a site's own; write its bundle."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Channel, Figure, Manifest, Source, Tensor, Tensors
from dicomnode.pipeline import Recipe
from dicomnode.science.features import FEATURES
from dicomnode.training.card import UNSIGNED, Trained, refusals, write_bundle
from dicomnode.training.exams import SIMULATED_EXAMS, cases
from dicomnode.training.logistic import Fitted, as_onnx, fit
from dicomnode.training.measured import (
    PAIRS,
    FeatureTable,
    Notebook,
    Subject,
    undecided_models,
)
from dicomnode.training.scores import auc, icc
from dicomnode.training.site import SiteCohort, read_cohort, reading_of, too_few

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
        A site's table of cases, see :func:`dicomnode.training.site.read_cohort`; simulated exams
        where there is none.
    recipe : Recipe
        What the site's node will measure with.
    exams : int
        Simulated patients, malignant and benign in turn.
    repeats : int
        How many exams are measured four times more, on every other frame and within other outlines,
        to find the features that repeat.
    coverage : float
        Share of exams, of either kind, whose true kind the conformal set holds.
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
    version: str = "1"


@dataclass(frozen=True, kw_only=True)
class _Words:
    """What manifest and card say of the exams that were learnt from."""

    trained_on: str
    conditions: str
    population: str
    licence: str
    source: Source


@dataclass(frozen=True, kw_only=True)
class _Learnt:
    """A fit, the exams it is from and which of FEATURES it reads."""

    table: FeatureTable
    kept: NDArray[np.intp]
    fitted: Fitted

    @property
    def probability(self) -> NDArray[np.float64]:
        """Answers (N,) to exams that the answering fold had not seen."""
        return np.asarray(1 / (1 + np.exp(-self.fitted.log_odds)))


def train(settings: ClassifierSettings) -> Trained:
    """Measure the cohort, fit by nested cross-validation, and write the bundle.

    Raises
    ------
    SettingsError
        The site's table has rows that cannot be used, or too few patients of a kind.
    BundleError
        Too few exams could be measured, or no feature repeats.
    """
    notebook = Notebook(settings.work, undecided_models(settings.models), settings.recipe)
    if settings.cohort is None:
        table = notebook.table(cases("classifier", settings.exams, settings.seed))
        return _written(_learn(table, notebook, settings), _of_simulation(table), settings)
    cohort = read_cohort(settings.cohort, labelled=True, settings=reading_of(settings.recipe))
    table = notebook.table(cohort.shuffled())
    if few := too_few(table.measured):
        refused = "; ".join(f"{each.name}: {', '.join(each.reasons)}" for each in table.refused)
        raise BundleError(f"classifier: after refusals: {few}", hint=f"refused: {refused}")
    learnt = _learn(table, notebook, settings)
    readers = tuple(_reader_figures(learnt, cohort))
    return _written(learnt, _of_site(table, cohort), settings, readers)


def _learn(table: FeatureTable, notebook: Notebook, settings: ClassifierSettings) -> _Learnt:
    again = table.measured[: settings.repeats]
    varies = table.features.std(axis=0) > 1e-9
    kept = np.flatnonzero((_repeatability(notebook, again) >= REPEATABLE) & varies)
    if not kept.size:
        raise BundleError(
            f"classifier: expected features that repeat (ICC of at least {REPEATABLE}), found none",
            hint="are the cohort's loops long enough to be measured on every other frame?",
        )
    fitted = fit(
        table.features[:, kept],
        table.is_malignant,
        coverage=settings.coverage,
        seed=settings.seed,
        patients=table.patients,
    )
    return _Learnt(table=table, kept=kept, fitted=fitted)


def _repeatability(notebook: Notebook, subjects: Sequence[Subject]) -> NDArray[np.float64]:
    """Least intraclass correlation of each of FEATURES over the pairs of measurements."""
    pairs = notebook.pairs(subjects)
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
    learnt: _Learnt,
    words: _Words,
    settings: ClassifierSettings,
    more: tuple[Figure, ...] = (),
) -> Trained:
    table = learnt.table
    refused = refusals(table.refused, len(table.measured) + len(table.refused))
    figures = (*_figures(learnt, words), *more, *refused)
    manifest = _manifest(learnt, words, figures, settings)
    bundle = write_bundle(settings.bundle, manifest, as_onnx(learnt.fitted.linear))
    return Trained(bundle=bundle, figures=figures, refused=table.refused)


def _manifest(
    learnt: _Learnt, words: _Words, figures: tuple[Figure, ...], settings: ClassifierSettings
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
            Channel(name=each.name, meaning=each.words, normalisation="none") for each in features
        ),
        output="probability of malignancy, or an abstention",
        tensors=Tensors(
            input=Tensor(name="features", shape=(-1, len(features))),
            output=Tensor(name="probabilities", shape=(-1, 2)),
        ),
        training_data=(words.source,),
        figures=figures,
        linear=fitted.linear,
        calibration=fitted.calibration,
        distribution=fitted.distribution,
    )


def _figures(learnt: _Learnt, words: _Words) -> tuple[Figure, ...]:
    probability, is_malignant = learnt.probability, learnt.table.is_malignant
    calibration = learnt.fitted.calibration
    benign = probability <= calibration.benign
    malignant = 1 - probability <= calibration.malignant
    decided = benign != malignant
    right = np.where(is_malignant, malignant, benign)
    conditions = (
        f"{words.conditions}; answers of outer folds of nested cross-validation; "
        f"{len(learnt.kept)} of {len(FEATURES)} features repeat (ICC >= {REPEATABLE}) between "
        f"{' and between '.join(PAIRS)}"
    )
    rows = (
        *_areas("", probability, is_malignant),
        ("Brier score", float(np.mean((probability - is_malignant) ** 2))),
        ("share decided", float(decided.mean())),
        *_share("sensitivity of the decided", right[decided & is_malignant]),
        *_share("specificity of the decided", right[decided & ~is_malignant]),
    )
    return tuple(
        Figure(name=name, value=round(value, 4), conditions=conditions) for name, value in rows
    )


def _areas(
    whose: str, scores: NDArray[np.float64], is_malignant: NDArray[np.bool_]
) -> list[tuple[str, float]]:
    area = auc(scores, is_malignant)
    return [
        (f"AUC{whose}", area.value),
        (f"AUC{whose}, lower end of DeLong's 95 % interval", area.low),
        (f"AUC{whose}, upper end of DeLong's 95 % interval", area.high),
    ]


def _share(name: str, right: NDArray[np.bool_]) -> list[tuple[str, float]]:
    """Share of right answers; nothing where none was given."""
    return [(name, float(right.mean()))] if right.size else []


def _reader_figures(learnt: _Learnt, cohort: SiteCohort) -> Iterator[Figure]:
    """Each reader beside the model on the cases that both judged; none with fewer than two each."""
    readings = {case.key: case.readings for case in cohort.cases}
    for reader in cohort.readers:
        scores = np.array(
            [readings[case.key].get(reader, np.nan) for case in learnt.table.measured]
        )
        read = np.isfinite(scores)
        is_malignant = learnt.table.is_malignant[read]
        if min(is_malignant.sum(), (~is_malignant).sum()) < 2:
            continue
        conditions = (
            f"{len(is_malignant)} cases of this site that {reader} scored, {is_malignant.sum()} "
            "malignant; the model's answers are those of outer folds"
        )
        rows = (
            *_areas(f" of {reader}", scores[read], is_malignant),
            *_areas(f" of the model on {reader}'s", learnt.probability[read], is_malignant),
        )
        for name, value in rows:
            yield Figure(name=name, value=round(value, 4), conditions=conditions)
