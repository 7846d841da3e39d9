"""``dicomnode train``: make the models anew. Needs the extra ``train``; the node does not."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dicomnode.cli.present import console
from dicomnode.errors import SettingsError

__all__ = ["train"]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

WORK = Path("training-work")
OUTPUT = Path("models")


def _module(name: str) -> Any:
    """A training module, or a word on what is missing to use it."""
    try:
        return importlib.import_module(f"dicomnode.training.{name}")
    except ModuleNotFoundError as missing:
        raise SettingsError(
            f"training needs the package {missing.name}",
            hint='pip install "ceus-dicomnode[train]"',
        ) from missing


def _folder(name: str, default: Path, text: str) -> Decorator:
    return click.option(
        name,
        default=default,
        show_default=True,
        type=click.Path(path_type=Path, file_okay=False),
        help=text,
    )


models_option = _folder("--models", OUTPUT, "Folder of bundles: the new one is written there.")
work_option = _folder("--work", WORK, "Checkpoints and measured exams; a run goes on from there.")
seed_option = click.option("--seed", type=click.IntRange(1, 100), default=1, show_default=True)
version_option = click.option("--bundle-version", default="1", show_default=True)


def _exams_option(default: int) -> Decorator:
    return click.option(
        "--exams",
        type=click.IntRange(min=4),
        default=default,
        show_default=True,
        help="Simulated exams to learn from.",
    )


@click.group()
def train() -> None:
    """Train a segmenter, a codebook or a classifier, each a bundle of its own."""


@train.command("segmenter")
@click.option("--busi", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.option("--epochs", type=click.IntRange(min=1), default=36, show_default=True)
@click.option(
    "--fold",
    type=click.IntRange(1, 5),
    help="Train on BUSI without this fold of five, and judge that: figures on real images.",
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@_exams_option(200)
@models_option
@work_option
@seed_option
@version_option
def train_segmenter(
    busi: Path | None,
    epochs: int,
    fold: int | None,
    threads: int,
    exams: int,
    models: Path,
    work: Path,
    seed: int,
    bundle_version: str,
) -> None:
    """Train the lesion segmenter on BUSI images (--busi) and simulated exams."""
    module = _module("segmenter")
    settings = module.SegmenterSettings(
        work=work / "segmenter",
        bundle=models / "segmenter",
        busi=busi,
        exams=exams,
        epochs=epochs,
        seed=seed,
        threads=threads,
        version=bundle_version,
    )
    if fold is not None and busi is None:
        raise click.UsageError("--fold: expected --busi DIR with it: the folds are of its images")
    written = module.train(settings) if fold is None else module.train_fold(settings, fold)
    console().print(f"written: {written}", highlight=False)


@train.command("codebook")
@_exams_option(100)
@models_option
@seed_option
@version_option
def train_codebook(exams: int, models: Path, seed: int, bundle_version: str) -> None:
    """Train the codebook of perfusion sub-regions on simulated exams."""
    module = _module("codebook")
    settings = module.CodebookSettings(
        bundle=models / "codebook", exams=exams, seed=seed, version=bundle_version
    )
    console().print(f"written: {module.train(settings)}", highlight=False)


@train.command("classifier")
@_exams_option(200)
@models_option
@work_option
@seed_option
@version_option
def train_classifier(exams: int, models: Path, work: Path, seed: int, bundle_version: str) -> None:
    """Train the classifier on simulated exams, as segmenter and codebook measure them."""
    module = _module("classifier")
    settings = module.ClassifierSettings(
        models=models,
        bundle=models / "classifier",
        work=work / "classifier",
        exams=exams,
        seed=seed,
        version=bundle_version,
    )
    console().print(f"written: {module.train(settings)}", highlight=False)
