"""What the commands say of destinations that answer, and of those that do not."""

from pathlib import Path

from click.testing import CliRunner

from dicomnode.cli import cli
from dicomnode.cli.pacs import StandInPacs
from dicomnode.config import load_settings
from dicomnode.errors import SettingsError, UnreachableError
from dicomnode.service.check import check
from parts.waiting import free_port


def settings(folder: Path, port: int) -> Path:
    path = folder / "node.toml"
    path.write_text(
        f"""
[node]
data_dir = "{folder}/data"
port = {free_port()}
[web]
enabled = false
[[destination]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {port}
"""
    )
    return path


def test_a_destination_that_answers_is_said_so(tmp_path: Path) -> None:
    with StandInPacs(tmp_path / "pacs") as pacs:
        config = settings(tmp_path, pacs.port)
        said = CliRunner().invoke(cli, ["echo", "pacs", "-c", str(config)], catch_exceptions=False)
        last = said.output.splitlines()[-1]  # before it the stand-in logs to the same terminal
        assert last == f"pacs answers C-ECHO (PACS at 127.0.0.1:{pacs.port})"
        found = {one.what: one for one in check(load_settings(config), models=lambda _: ["none"])}
        told = found["destination pacs"]
        assert (told.level, told.text) == (
            "ok",
            f"answers C-ECHO (PACS at 127.0.0.1:{pacs.port})",
        )


def test_one_that_is_away_is_an_error_for_who_asks_and_a_warning_for_a_start(
    tmp_path: Path,
) -> None:
    config = settings(tmp_path, free_port())
    said = CliRunner().invoke(cli, ["echo", "pacs", "-c", str(config)])
    assert isinstance(said.exception, UnreachableError)
    found = {one.what: one for one in check(load_settings(config), models=lambda _: ["none"])}
    assert found["destination pacs"].level == "warning"


def test_a_destination_that_is_not_in_the_settings_is_named(tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["echo", "archive", "-c", str(settings(tmp_path, 104))])
    assert isinstance(said.exception, SettingsError)
    assert "one of ['pacs'], got 'archive'" in str(said.exception)
