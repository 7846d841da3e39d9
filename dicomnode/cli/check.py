"""``dicomnode check``: what would go wrong, before it does."""

from pathlib import Path

import click

from dicomnode.cli.options import config_option
from dicomnode.cli.present import console, plain
from dicomnode.config import load_settings
from dicomnode.errors import DicomnodeError
from dicomnode.service.check import check as check_settings

__all__ = ["check"]

MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "error": "[bold red]error[/]"}


@click.command()
@config_option
def check(config: Path) -> None:
    """Check settings, models, disk and peers; exit status 1 if the node could not do its work."""
    findings = check_settings(load_settings(config))
    for finding in findings:
        console().print(
            f"{MARKS[finding.level]} {plain(finding.what)}: {plain(finding.text)}",
            highlight=False,
            soft_wrap=True,
        )
    errors = sum(finding.level == "error" for finding in findings)
    if errors:
        raise DicomnodeError(f"{errors} of {len(findings)} checks found an error")
