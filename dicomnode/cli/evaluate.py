"""``dicomnode evaluate``: the models against exams whose truth is known."""

from pathlib import Path

import click
from rich.table import Table

from dicomnode.cli.present import console
from dicomnode.config import default_models_dir
from dicomnode.training.evaluation import Evaluation, EvaluationSettings, evaluate_bundles

__all__ = ["evaluate"]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _outcomes(found: Evaluation) -> Table:
    table = Table(title="per exam (simulated)", box=None, header_style="bold", title_justify="left")
    for title in ("seed", "truth", "answer", "probability", "Dice", "sub-region ARI", "reasons"):
        table.add_column(title)
    for one in found.outcomes:
        table.add_row(
            str(one.case.seed),
            one.case.kind,
            one.answer,
            _number(one.malignant_probability),
            _number(one.lesion_dice),
            _number(one.subregion_rand),
            ", ".join(one.reasons),
        )
    return table


def _figures(found: Evaluation) -> Table:
    table = Table(title="figures", box=None, header_style="bold", title_justify="left")
    for title in ("figure", "value", "on"):
        table.add_column(title)
    for figure in found.figures:
        table.add_row(figure.name, f"{figure.value:.3f}", figure.conditions)
    return table


def _diagnosis(found: Evaluation) -> Table:
    answers = sorted({answer for _, answer in found.confusion})
    table = Table(title="diagnosis", box=None, header_style="bold", title_justify="left")
    table.add_column("truth")
    for answer in answers:
        table.add_column(answer, justify="right")
    for kind in ("malignant", "benign"):
        counts = (str(found.confusion.get((kind, answer), 0)) for answer in answers)
        table.add_row(kind, *counts)
    return table


@click.command()
@click.option(
    "--models",
    type=click.Path(exists=True, path_type=Path, file_okay=False),
    default=default_models_dir(),
    help="Folder of bundles; the ones that come with dicomnode by default.",
)
@click.option("--exams", type=click.IntRange(min=2), default=20, show_default=True)
@click.option("--seed", type=click.IntRange(1, 100), default=1, show_default=True)
def evaluate(models: Path, exams: int, seed: int) -> None:
    """Analyse simulated exams that no training used and compare with their truth.

    Figures from simulated exams are not clinical accuracy.
    """
    found = evaluate_bundles(EvaluationSettings(models=models, exams=exams, seed=seed))
    out = console()
    for table in (_outcomes(found), _diagnosis(found), _figures(found)):
        out.print(table)
        out.print()
    out.print("[dim]Figures from simulated exams are not clinical accuracy.[/]")
