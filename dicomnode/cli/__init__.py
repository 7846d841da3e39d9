"""The commands. Each lives in a module of its own and is imported only when it is called.

Exit status: 0 done; 1 failed; 2 wrong usage or settings; 3 the exam was refused, with reasons.
"""

import importlib
import sys
from collections.abc import Mapping

import click

from dicomnode.errors import DicomnodeError, RefusedError, SettingsError
from dicomnode.version import __version__

__all__ = ["main"]

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("demo:demo", "Simulated exams through a node to a stand-in PACS, results shown."),
    "serve": ("serve:serve", "Run the node."),
    "analyse": (
        "analyse:analyse",
        "Analyse files offline: the same pipeline, files in, files out.",
    ),
    "simulate": ("simulate:simulate", "Write simulated CEUS exams with known truth."),
    "send": ("peers:send", "Send DICOM files to a peer by C-STORE."),
    "echo": ("peers:echo", "Ask a destination of the settings whether it answers (C-ECHO)."),
    "check": ("check:check", "Say what would go wrong: settings, models, disk, peers."),
    "exams": ("exams:exams", "List exams, say why one has no result, try again."),
    "models": ("models:models", "List and verify the model bundles."),
    "train": ("train:train", "Train a segmenter, a codebook or a classifier."),
    "evaluate": ("evaluate:evaluate", "Measure the models on exams whose truth is known."),
}
"""Command name to ``module:attribute`` below this package, and its one-line help."""


class _LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dicomnode")
def cli() -> None:
    """Measure how a breast tumour is perfused: contrast-enhanced ultrasound in, DICOM results out.

    Research use only; not a medical device.
    """


def exit_status(error: DicomnodeError) -> int:
    """Exit status that tells a script what kind of error this was."""
    if isinstance(error, RefusedError):
        return 3
    return 2 if isinstance(error, SettingsError) else 1


def main() -> None:
    """Run the command line; errors of ours become one readable line and an exit status."""
    try:
        cli(prog_name="dicomnode")
    except DicomnodeError as error:
        click.secho(f"dicomnode: {error}", fg="red", err=True)
        sys.exit(exit_status(error))
