"""``dicomnode serve``: the node, until it is told to stop."""

import functools
from pathlib import Path

import click

from dicomnode.config import load_settings
from dicomnode.log import configure
from dicomnode.service.node import Node
from dicomnode.service.process import run

__all__ = ["config_option", "serve"]

DEFAULT_SETTINGS = Path("/etc/dicomnode/node.toml")

config_option = click.option(
    "-c",
    "--config",
    default=DEFAULT_SETTINGS,
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file.",
)


@click.command()
@config_option
def serve(config: Path) -> None:
    """Receive, analyse and deliver until SIGTERM or Ctrl-C; work in hand is finished later.

    SIGHUP takes over [[accept]], [[destination]] and [tls] from the settings file.
    """
    settings = load_settings(config)
    configure(settings.log)
    run(Node(settings), functools.partial(load_settings, config))
