"""What the commands say of exams, whatever others wrote into them."""

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicomnode.cli import cli
from dicomnode.errors import printable
from dicomnode.store.ledger import Ledger
from parts.hostile import WORDS, fill


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\ndata_dir = "{tmp_path}/data"\n')
    return path


def said(settings: Path, *words: str) -> str:
    done = CliRunner().invoke(cli, ["exams", *words, "-c", str(settings)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_a_senders_words_are_neither_markup_nor_commands(settings: Path, word: str) -> None:
    with closing(Ledger(f"sqlite:///{settings.parent}/data/ledger.sqlite")) as ledger:
        number = fill(ledger, word)
    kept = printable(word.encode(errors="replace").decode())
    for words in (["show", str(number)], ["show"]):
        output = said(settings, *words)
        assert all(line.isprintable() for line in output.split("\n"))
        assert kept in output, "said as it is, whatever it looks like"
    assert said(settings, "show", str(number)).count("missing") == 2, "neither file is there"
    assert kept[-8:] in said(settings, "list")
