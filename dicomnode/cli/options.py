"""Options that several commands share."""

from pathlib import Path

import click

__all__ = ["config_option"]

DEFAULT_SETTINGS = Path("/etc/dicomnode/node.toml")

config_option = click.option(
    "-c",
    "--config",
    default=DEFAULT_SETTINGS,
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file.",
)
