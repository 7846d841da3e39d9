"""``dicomnode analyse``: the node's pipeline on files."""

import sys
from collections import Counter
from pathlib import Path

import click

from dicomnode.cli.answer import notice_of, show_answer
from dicomnode.cli.present import busy, console, counted, plain
from dicomnode.config import default_models_dir, load_settings
from dicomnode.dicom.header import read_header
from dicomnode.errors import InputError, SettingsError
from dicomnode.kinds import KINDS, ON_REQUEST
from dicomnode.outputs.job import process
from dicomnode.outputs.options import ResultOptions
from dicomnode.outputs.request import Outcome, Request
from dicomnode.paths import files_below

__all__ = ["analyse"]


def _request(
    settings_file: Path | None, models: Path | None, extras: frozenset[str], *, maps: bool
) -> Request:
    if settings_file is None:
        options = ResultOptions(extras=extras)
        return Request(models_dir=models or default_models_dir(), maps=maps, options=options)
    settings = load_settings(settings_file)
    return Request(
        models_dir=models or settings.models.directory,
        recipe=settings.recipe,
        maps=maps,
        options=ResultOptions(extras=extras, seg_geometry=settings.outputs.seg_geometry),
    )


def _expect_one_study(files: list[Path]) -> None:
    """Refuse files of several studies: they would be taken for injections of one patient."""
    found = {uid for path in files if (uid := _study_uid(path))}
    if len(found) > 1:
        raise SettingsError(
            f"expected the files of one study, found {len(found)} studies: analyse each by itself"
        )


def _study_uid(path: Path) -> str:
    try:
        return str(read_header(path).dataset.get("StudyInstanceUID") or "")
    except InputError:
        return ""


def _show(outcome: Outcome) -> None:
    out = console()
    record = outcome.record
    if outcome.status == "analysed":
        show_answer(out, record)
        out.print(f"[dim]{plain(notice_of(record))}[/]", highlight=False)
    else:
        out.print("[bold yellow]refused[/], not analysed:", highlight=False)
        for reason in outcome.reasons:
            out.print(f"  {reason.code}: {reason.text}", highlight=False, markup=False)
    for code, count in Counter(left.code for left in record.left_out).items():
        out.print(f"left out: {counted(count, 'file')}, {code}", highlight=False, markup=False)
    out.print("\nwritten:")
    for output in outcome.outputs:
        out.print(f"  {output.kind:<12} {plain(output.path)}", highlight=False, soft_wrap=True)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("-c", "--config", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option("--models", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.option("--maps", is_flag=True, help="Also write the parameter maps as maps.npz.")
@click.option(
    "--also",
    type=click.Choice(ON_REQUEST),
    multiple=True,
    help="Also write in DICOM: "
    + ", ".join(f"{name} ({KINDS[name].title})" for name in ON_REQUEST)
    + "; may be given several times.",
)
def analyse(
    paths: tuple[Path, ...],
    output: Path,
    config: Path | None,
    models: Path | None,
    also: tuple[str, ...],
    *,
    maps: bool,
) -> None:
    """Analyse the CEUS exam in PATHS (files or folders) and write its results to OUTPUT.

    Exit status 3 where every exam was refused; the reasons are in result.json.
    """
    request = _request(config, models, frozenset(also), maps=maps)
    files = files_below(paths)
    _expect_one_study(files)
    with busy(f"analysing {counted(len(files), 'file')}"):
        outcomes = process(files, output, request)
    for outcome in outcomes:
        if len(outcomes) > 1:
            console().print(f"\n[bold underline]injection {outcome.injection}[/]")
        _show(outcome)
    if all(outcome.status == "refused" for outcome in outcomes):
        sys.exit(3)
