"""``dicomnode models``: which bundles there are, and whether they are what they say."""

from pathlib import Path

import click
from rich.table import Table

from dicomnode.cli.present import console, plain
from dicomnode.config import default_models_dir, load_settings
from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Bundle, load

__all__ = ["models"]

directory_option = click.option(
    "--models",
    "directory",
    type=click.Path(exists=True, path_type=Path, file_okay=False),
    help="Folder of bundles; by default those of the settings, or that come with dicomnode.",
)
settings_option = click.option(
    "-c",
    "--config",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="Settings file that says where the node's bundles are.",
)


@click.group()
def models() -> None:
    """List and verify the model bundles."""


def _meant(directory: Path | None, config: Path | None) -> Path:
    if directory is not None:
        return directory
    return load_settings(config).models.directory if config else default_models_dir()


def _folders(directory: Path) -> list[Path]:
    found = sorted(path.parent for path in directory.glob("*/manifest.toml"))
    if not found:
        raise BundleError(f"{directory}: expected folders with a manifest.toml, found none")
    return found


def _row(bundle: Bundle) -> tuple[str, ...]:
    use = bundle.use
    shown = bundle.name, bundle.version, bundle.task, bundle.sha256[:12], use.trained_on
    return tuple(map(plain, shown))


@models.command("list")
@directory_option
@settings_option
def list_models(directory: Path | None, config: Path | None) -> None:
    """Show name, version, task, digest and training data of every bundle."""
    table = Table("name", "version", "task", "sha256", "trained on", box=None, header_style="bold")
    for folder in _folders(_meant(directory, config)):
        table.add_row(*_row(load(folder)))
    console().print(table)


@models.command("verify")
@directory_option
@settings_option
def verify(directory: Path | None, config: Path | None) -> None:
    """Check digest, shapes and manifest of every bundle; exit status 1 if any does not hold."""
    broken, folders = 0, _folders(_meant(directory, config))
    for folder in folders:
        try:
            bundle = load(folder)
        except BundleError as error:
            broken += 1
            console().print(f"[red]{plain(folder.name)}: {plain(error)}[/]", highlight=False)
        else:
            console().print(f"{plain(bundle.name)} {plain(bundle.version)}: as its manifest says")
    if broken:
        raise BundleError(
            f"{broken} of {len(folders)} bundles in {folders[0].parent} cannot be used"
        )
