"""``dicomnode train``: make the models anew. Needs the extra ``train``; the node does not."""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.table import Table

from dicomnode.cli.present import console
from dicomnode.config import default_models_dir, load_settings
from dicomnode.errors import SettingsError
from dicomnode.inference.models import BUNDLES
from dicomnode.recipe import Recipe

__all__ = ["train"]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

WORK = Path("training-work")
OUTPUT = Path("models")
FEWEST_EXAMS = 4
"""Simulated exams to learn from where there are no others."""


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
cohort_option = click.option(
    "--cohort",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="Learn from a site's own cases: a cases.csv, see models/README.md.",
)
config_option = click.option(
    "-c",
    "--config",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="The node's settings, whose recipe the cohort is measured with.",
)
version_option = click.option("--bundle-version", default="1", show_default=True)


def _exams_option(default: int, least: int = FEWEST_EXAMS) -> Decorator:
    return click.option(
        "--exams",
        type=click.IntRange(min=least),
        default=default,
        show_default=True,
        help="Simulated exams to learn from.",
    )


def _few_option(patients: int) -> Decorator:
    text = f"Learn from fewer than {patients} patients all the same."
    return click.option("--few", is_flag=True, help=text)


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
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@_exams_option(200, least=0)
@cohort_option
@config_option
@_few_option(20)
@models_option
@work_option
@seed_option
@version_option
def train_segmenter(
    busi: Path | None,
    epochs: int,
    fold: int | None,
    threads: int,
    device: str,
    exams: int,
    cohort: Path | None,
    config: Path | None,
    models: Path,
    work: Path,
    seed: int,
    bundle_version: str,
    *,
    few: bool,
) -> None:
    """Train the lesion segmenter on BUSI images (--busi) and simulated exams.

    With --cohort, a site's own exams are learnt from as well, those whose lesion is outlined, and
    every fifth patient is held out to judge by. Train the classifier again afterwards: it learns
    from what the segmenter outlines.
    """
    if cohort is None:
        _refuse_without_cohort(config=config is not None, few=few)
        _refuse_too_few(exams)
    elif fold is not None:
        raise click.UsageError("--fold: expected without --cohort: the folds are of BUSI's images")
    if fold is not None and busi is None:
        raise click.UsageError("--fold: expected --busi DIR with it: the folds are of its images")
    module = _module("segmentation.segmenter")
    settings = module.SegmenterSettings(
        work=work / "segmenter",
        bundle=models / "segmenter",
        busi=busi,
        exams=exams,
        epochs=epochs,
        seed=seed,
        threads=threads,
        device=device,
        version=bundle_version,
    )
    if cohort is not None:
        _train_site_segmenter(settings, cohort, models, _recipe(config), few=few)
        return
    written = module.train(settings) if fold is None else module.train_fold(settings, fold)
    console().print(f"written: {written}", highlight=False)


def _train_site_segmenter(
    settings: Any, cohort: Path, models: Path, recipe: Recipe, *, few: bool
) -> None:
    module = _module("site.segmenter")
    _complete(models)
    _show(
        module.train(
            module.SiteSegmenterSettings(segmenter=settings, cohort=cohort, recipe=recipe, few=few)
        )
    )
    console().print("next: `dicomnode train classifier`, which learns from what this one outlines")


@train.command("codebook")
@_exams_option(100)
@cohort_option
@config_option
@_few_option(80)
@models_option
@work_option
@seed_option
@version_option
def train_codebook(
    exams: int,
    cohort: Path | None,
    config: Path | None,
    models: Path,
    work: Path,
    seed: int,
    bundle_version: str,
    *,
    few: bool,
) -> None:
    """Train the codebook of perfusion sub-regions on simulated exams, or on a site's own.

    Train the classifier again afterwards: it learns from what the codebook divides.
    """
    bundle = models / "codebook"
    if cohort is None:
        _refuse_without_cohort(config=config is not None, few=few)
        module = _module("codebook")
        settings = module.CodebookSettings(
            bundle=bundle, exams=exams, seed=seed, version=bundle_version
        )
        console().print(f"written: {module.train(settings)}", highlight=False)
        return
    _refuse_with_cohort()
    module = _module("site.codebook")
    _complete(models)
    _show(
        module.train(
            module.SiteCodebookSettings(
                models=models,
                bundle=bundle,
                work=work / "codebook",
                cohort=cohort,
                recipe=_recipe(config),
                few=few,
                seed=seed,
                version=bundle_version,
            )
        )
    )
    console().print("next: `dicomnode train classifier`, which learns from what this one divides")


@train.command("classifier")
@_exams_option(200)
@cohort_option
@config_option
@click.option(
    "--repeats",
    type=click.IntRange(min=2),
    default=40,
    show_default=True,
    help="Exams that are measured four times more, to find the features that repeat.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the exams; nothing depends on it.",
)
@models_option
@work_option
@seed_option
@version_option
def train_classifier(
    exams: int,
    cohort: Path | None,
    config: Path | None,
    repeats: int,
    jobs: int,
    models: Path,
    work: Path,
    seed: int,
    bundle_version: str,
) -> None:
    """Train the classifier on simulated exams, or on a site's own, as the node measures them."""
    module = _module("diagnosis.classifier")
    if cohort is None:
        _refuse_without_cohort(config=config is not None)
    else:
        _refuse_with_cohort()
        _complete(models)
    _show(
        module.train(
            module.ClassifierSettings(
                models=models,
                bundle=models / "classifier",
                work=work / "classifier",
                cohort=cohort,
                recipe=_recipe(config),
                exams=exams,
                repeats=repeats,
                jobs=jobs,
                seed=seed,
                version=bundle_version,
            )
        )
    )


def _refuse_with_cohort() -> None:
    source = click.get_current_context().get_parameter_source("exams")
    if source is ParameterSource.COMMANDLINE:
        raise click.UsageError("--exams: expected without --cohort: it counts simulated exams")


def _refuse_without_cohort(**given: bool) -> None:
    for name in (name for name, is_given in given.items() if is_given):
        raise click.UsageError(f"--{name}: expected --cohort cases.csv with it")


def _refuse_too_few(exams: int) -> None:
    if exams < FEWEST_EXAMS:
        raise click.UsageError(
            f"--exams: expected {FEWEST_EXAMS} or more without --cohort, got {exams}"
        )


def _recipe(config: Path | None) -> Recipe:
    return Recipe() if config is None else load_settings(config).recipe


def _complete(models: Path) -> None:
    """Put the bundles that come with dicomnode where there are none yet."""
    for name in BUNDLES:
        shipped = default_models_dir() / name
        if not (models / name).exists() and shipped.exists():
            shutil.copytree(shipped, models / name)


def _show(trained: Any) -> None:
    """Print figures, then every exam that was refused, then where the bundle is."""
    out = console()
    table = Table(title="figures", box=None, header_style="bold", title_justify="left")
    for title in ("figure", "value", "95 % interval"):
        table.add_column(title)
    for figure in trained.figures:
        table.add_row(figure.name, figure.number, figure.interval)
    out.print(table)
    if trained.refused:
        out.print(f"\nrefused, not learnt from: {len(trained.refused)}", highlight=False)
    for refusal in trained.refused:
        codes = ", ".join(dict.fromkeys(refusal.reasons))
        out.print(f"  {refusal.name}: {codes}", highlight=False, markup=False)
    card, report = trained.bundle / "card.md", trained.bundle / "report.png"
    out.print(f"\nconditions: {card}", highlight=False, soft_wrap=True)
    if report.exists():
        out.print(f"report: {report}", highlight=False, soft_wrap=True)
    out.print(f"written: {trained.bundle}", highlight=False, soft_wrap=True)
