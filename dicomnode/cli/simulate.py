"""``dicomnode simulate``: CEUS exams whose truth is known."""

import csv
from pathlib import Path

import click
from rich.progress import track

from dicomnode.cli.present import console
from dicomnode.simulation.cohort import cohort, recipe_for
from dicomnode.simulation.exam import simulate as simulate_exam
from dicomnode.simulation.recipe import PRESETS, ExamRecipe
from dicomnode.simulation.writer import write, write_truth

__all__ = ["simulate"]


def write_exam(recipe: ExamRecipe, directory: Path) -> list[Path]:
    """Simulate one exam and write its clips and, in ``truth/`` beside them, its truth."""
    exam = simulate_exam(recipe)
    paths = write(exam, directory)
    write_truth(exam, directory / "truth")
    return paths


def _write_cohort(recipes: list[ExamRecipe], output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    with (output / "cases.csv").open("w", newline="") as file:
        cases = csv.writer(file)
        cases.writerow(["case", "label"])
        for number, recipe in enumerate(track(recipes, "simulating", console=console()), start=1):
            folder = f"case-{number:04d}"
            write_exam(recipe, output / folder)
            cases.writerow([folder, recipe.kind])


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--kind", type=click.Choice(["malignant", "benign"]), default="malignant")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--cohort", "count", type=click.IntRange(min=1), help="Write so many patients.")
@click.option(
    "--preset", type=click.Choice(sorted(PRESETS)), default="full", help="Size of panes and loop."
)
def simulate(output: Path, kind: str, seed: int, count: int | None, preset: str) -> None:
    """Write a simulated CEUS exam as DICOM into OUTPUT, with its truth in OUTPUT/truth.

    With --cohort N, N patients of both kinds, a folder each, and cases.csv that labels them, as
    `dicomnode train` reads it.
    Nothing simulated says anything about patients.
    """
    if count is not None:
        _write_cohort(list(cohort(seed, count, preset=preset)), output)
        console().print(f"{count} simulated exams in {output}", highlight=False)
        return
    paths = write_exam(
        recipe_for("malignant" if kind == "malignant" else "benign", seed, preset=preset), output
    )
    for path in paths:
        console().print(str(path), highlight=False, soft_wrap=True)
