"""``dicomnode serve``: the node, until it is told to stop."""

import functools
from pathlib import Path

import click

from dicomnode.cli.options import config_option
from dicomnode.config import load_settings
from dicomnode.log import configure
from dicomnode.service.node import Node
from dicomnode.service.process import run

__all__ = ["serve"]


@click.command()
@config_option
def serve(config: Path) -> None:
    """Receive, analyse and deliver until SIGTERM or Ctrl-C; work in hand is finished later.

    SIGHUP takes over [[accept]], [[destination]] and [tls] from the settings file.
    """
    settings = load_settings(config)
    configure(settings.log)
    run(Node(settings), functools.partial(load_settings, config))
