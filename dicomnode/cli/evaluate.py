"""``dicomnode evaluate``: the models against exams whose truth is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click
from rich.table import Table

from dicomnode.cli.present import console
from dicomnode.config import default_models_dir
from dicomnode.training.evaluation.bundles import (
    NOTICE,
    Cohort,
    Evaluation,
    EvaluationSettings,
    evaluate_bundles,
)
from dicomnode.training.evaluation.cards import may_be_recorded, record
from dicomnode.training.evaluation.document import write_evaluation
from dicomnode.training.evaluation.figures import Score

__all__ = ["evaluate"]

QUOTABLE = 300
"""Exams from which on an evaluation may stand on the cards, and in every report."""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _value(score: Score) -> str:
    return f"{score.value:d}" if isinstance(score.value, int) else f"{score.value:.3f}"


def _interval(score: Score) -> str:
    return "" if score.low is None else f"{score.low:.3f} to {score.high:.3f}"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=f"{title} ({NOTICE})", box=None, header_style="bold", title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _outcomes(found: Evaluation) -> Table:
    table = _table(
        *("per exam", "seed", "truth", "answer", "probability", "Dice", "sub-region ARI"),
        "reasons",
    )
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


def _diagnosis(found: Evaluation) -> Table:
    answers = sorted({answer for _, answer in found.confusion})
    table = _table("diagnosis", "truth", *answers)
    for kind in ("malignant", "benign"):
        table.add_row(kind, *(str(found.confusion.get((kind, answer), 0)) for answer in answers))
    return table


def _figures(title: str, scores: Sequence[Score]) -> Table:
    table = _table(title, "figure", "value", "95 % interval", "p", "exams")
    for score in scores:
        table.add_row(score.name, _value(score), _interval(score), _p(score.p), str(score.count))
    return table


def _side_by_side(found: Evaluation, other: Evaluation) -> Table:
    table = _table("side by side", "figure", "first", "95 % interval", "second", "95 % interval")
    theirs = {score.name: score for score in other.figures}
    for score in found.figures:
        if score.name in theirs:
            second = theirs[score.name]
            table.add_row(
                score.name, _value(score), _interval(score), _value(second), _interval(second)
            )
    return table


def _tables(found: Evaluation) -> list[Table]:
    tables = [_outcomes(found), _diagnosis(found), _figures("figures", found.figures)]
    if found.against is not None:
        tables += [
            _diagnosis(found.against),
            _side_by_side(found, found.against),
            _figures("first minus second", found.comparison),
        ]
    return tables


@click.command()
@click.option(
    "--models",
    type=click.Path(exists=True, path_type=Path, file_okay=False),
    default=default_models_dir(),
    help="Folder of bundles; the ones that come with dicomnode by default.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, path_type=Path, file_okay=False),
    help="Another folder of bundles, to be compared on the same exams.",
)
@click.option(
    "--cohort",
    type=click.Choice(get_args(Cohort)),
    default="held-out",
    show_default=True,
    help="Patients no training used, as they come or seen by a scanner no training knows.",
)
@click.option(
    "--exams",
    type=click.IntRange(min=2),
    default=20,
    show_default=True,
    help=f"How many; {QUOTABLE} or more for figures to be quoted.",
)
@click.option("--seed", type=click.IntRange(1, 100), default=1, show_default=True)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the exams; the figures do not depend on it.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for evaluation.json and evaluation.png.",
)
@click.option(
    "--record",
    "recorded",
    is_flag=True,
    help="Write the figures onto the cards of --models; every report then says the main ones.",
)
def evaluate(
    models: Path,
    against: Path | None,
    cohort: Cohort,
    exams: int,
    seed: int,
    jobs: int,
    output: Path | None,
    recorded: bool,
) -> None:
    """Analyse simulated exams that no training used and compare with their truth.

    Two baselines see the same exams: an oracle that knows the true habitats, and the lesion's mean
    curve, cross-validated within these exams, which falls short with fewer than some 200 of them.
    Figures from simulated exams are not clinical accuracy.
    """
    settings = EvaluationSettings(
        models=models, against=against, cohort=cohort, exams=exams, seed=seed, jobs=jobs
    )
    if recorded:
        if exams < QUOTABLE:
            raise click.UsageError(
                f"--record: expected --exams of {QUOTABLE} or more, for figures to be quoted, "
                f"got {exams}"
            )
        may_be_recorded(models)
    found = evaluate_bundles(settings)
    out = console()
    for table in _tables(found):
        out.print(table)
        out.print()
    out.print(f"[dim]{found.conditions}. {NOTICE}.[/]")
    for path in () if output is None else write_evaluation(found, output):
        out.print(f"written: {path}", highlight=False)
    for path in record(found, models) if recorded else ():
        out.print(f"written: {path}", highlight=False)
