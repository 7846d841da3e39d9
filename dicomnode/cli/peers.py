"""``dicomnode send`` and ``dicomnode echo``: talk to peers by hand."""

import re
from pathlib import Path

import click

from dicomnode.cli.present import busy, console, counted, plain
from dicomnode.config import load_settings
from dicomnode.errors import NetworkError, SettingsError
from dicomnode.network.peers import Peer
from dicomnode.network.send import send as send_files
from dicomnode.paths import files_below
from dicomnode.service.parts import transport

__all__ = ["echo", "send"]

_ADDRESS = re.compile(r"(?P<ae_title>[^@]{1,16})@(?P<host>.+):(?P<port>\d{1,5})")


def parse_peer(text: str) -> Peer:
    """Read ``AE@HOST:PORT``."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise SettingsError(f"--to: expected AE@HOST:PORT, e.g. PACS@127.0.0.1:4242, got {text!r}")
    found = match.groupdict()
    return Peer(name=text, ae_title=found["ae_title"], host=found["host"], port=int(found["port"]))


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--to", "address", required=True, metavar="AE@HOST:PORT")
@click.option("--from", "calling_ae", default="DICOMNODE", show_default=True)
def send(paths: tuple[Path, ...], address: str, calling_ae: str) -> None:
    """Send DICOM files (or all files of folders) to a peer by C-STORE."""
    peer = parse_peer(address)
    files = files_below(paths)
    with busy(f"sending {counted(len(files), 'file')} to {peer.name}"):
        answers = send_files(files, peer, calling_ae=calling_ae)
    refused = [answer for answer in answers if answer.verdict != "delivered"]
    for answer in refused:
        name, reason = plain(answer.path.name), plain(answer.reason)
        console().print(f"[red]{name}[/]: {reason}", highlight=False)
    console().print(f"{len(answers) - len(refused)} of {len(answers)} files sent", highlight=False)
    if refused:
        raise NetworkError(f"{peer.name} did not accept {counted(len(refused), 'file')}")


@click.command()
@click.argument("name")
@click.option(
    "-c", "--config", required=True, type=click.Path(exists=True, path_type=Path, dir_okay=False)
)
def echo(name: str, config: Path) -> None:
    """Ask the destination NAME of the settings whether it answers."""
    settings = load_settings(config)
    known = {destination.name: destination for destination in settings.destination}
    if name not in known:
        raise SettingsError(
            f"expected a destination of {config}, one of {sorted(known)}, got {name!r}"
        )
    told = transport(known[name], settings, settings.node.data_dir).check()
    console().print(f"{name} {plain(told)}")
