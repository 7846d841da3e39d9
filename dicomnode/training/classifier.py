"""Train the benign-or-malignant classifier on simulated exams; write its bundle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Channel, Figure, Manifest, Tensor, Tensors
from dicomnode.science.features import FEATURES
from dicomnode.training.card import UNSIGNED, write_bundle
from dicomnode.training.exams import SIMULATED_EXAMS, cases
from dicomnode.training.logistic import Fitted, as_onnx, fit
from dicomnode.training.measured import FeatureTable, Notebook, undecided_models
from dicomnode.training.scores import auc, icc

__all__ = ["ClassifierSettings", "train"]

REPEATABLE = 0.75
"""Least intraclass correlation of a feature between the even and the odd frames."""


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
    exams : int
        Simulated patients, malignant and benign in turn.
    repeats : int
        How many of them are measured twice more, on every other frame, to find the features that
        repeat.
    coverage : float
        Share of exams, of either kind, whose true kind the conformal set holds.
    """

    models: Path
    bundle: Path
    work: Path
    exams: int = 200
    repeats: int = 40
    coverage: float = 0.9
    seed: int = 1
    version: str = "1"


def train(settings: ClassifierSettings) -> Path:
    """Measure the cohort, fit by nested cross-validation, and return the bundle's folder."""
    notebook = Notebook(settings.work, undecided_models(settings.models))
    chosen = cases("classifier", settings.exams, settings.seed)
    table = notebook.table(chosen)
    repeatability = icc(*notebook.halves(chosen[: settings.repeats]))
    varies = table.features.std(axis=0) > 1e-9
    kept = np.flatnonzero((repeatability >= REPEATABLE) & varies)
    if not kept.size:
        raise BundleError(
            f"classifier: expected features that repeat (ICC of at least {REPEATABLE}), found none",
            hint="are the cohort's loops long enough to be measured on every other frame?",
        )
    fitted = fit(
        table.features[:, kept], table.is_malignant, coverage=settings.coverage, seed=settings.seed
    )
    manifest = _manifest(kept, table, fitted, settings)
    return write_bundle(settings.bundle, manifest, as_onnx(fitted.linear))


def _manifest(
    kept: NDArray[np.intp], table: FeatureTable, fitted: Fitted, settings: ClassifierSettings
) -> Manifest:
    features = [FEATURES[index] for index in kept]
    return Manifest(
        name="classifier",
        version=settings.version,
        task="classification",
        file="model.onnx",
        sha256=UNSIGNED,
        trained_on="simulated exams",
        licence="Apache-2.0",
        intended_use=(
            "Estimates from perfusion features whether a breast lesion is malignant, to be read "
            "beside the images by a radiologist. Research use; the probability holds for the "
            "simulated population only, half of it malignant."
        ),
        inputs=tuple(
            Channel(name=each.name, meaning=each.words, normalisation="none") for each in features
        ),
        output="probability of malignancy, or an abstention",
        tensors=Tensors(
            input=Tensor(name="features", shape=(-1, len(features))),
            output=Tensor(name="probabilities", shape=(-1, 2)),
        ),
        training_data=(SIMULATED_EXAMS,),
        figures=_figures(len(features), table, fitted),
        linear=fitted.linear,
        calibration=fitted.calibration,
        distribution=fitted.distribution,
    )


def _figures(count: int, table: FeatureTable, fitted: Fitted) -> tuple[Figure, ...]:
    probability = 1 / (1 + np.exp(-fitted.log_odds))
    area = auc(probability, table.is_malignant)
    benign = probability <= fitted.calibration.benign
    malignant = 1 - probability <= fitted.calibration.malignant
    decided = benign != malignant
    right = np.where(table.is_malignant, malignant, benign)
    conditions = (
        f"{len(probability)} simulated exams, preset small ({table.refused} more refused), half "
        f"malignant; answers of outer folds of nested cross-validation; {count} of "
        f"{len(FEATURES)} features repeat between even and odd frames (ICC >= {REPEATABLE})"
    )
    rows = (
        ("AUC", area.value),
        ("AUC, lower end of DeLong's 95 % interval", area.low),
        ("AUC, upper end of DeLong's 95 % interval", area.high),
        ("Brier score", float(np.mean((probability - table.is_malignant) ** 2))),
        ("share decided", float(decided.mean())),
        *_share("sensitivity of the decided", right[decided & table.is_malignant]),
        *_share("specificity of the decided", right[decided & ~table.is_malignant]),
    )
    return tuple(
        Figure(name=name, value=round(value, 4), conditions=conditions) for name, value in rows
    )


def _share(name: str, right: NDArray[np.bool_]) -> list[tuple[str, float]]:
    """Share of right answers; nothing where none was given."""
    return [(name, float(right.mean()))] if right.size else []
