"""What the commands say of exams, whatever others wrote into them."""

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicomnode.cli import cli
from dicomnode.errors import SettingsError, printable
from dicomnode.store.database import NotFoundError
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


@pytest.mark.parametrize("command", ["show", "retry", "resend", "give-up", "reanalyse"])
@pytest.mark.parametrize("number", ["7", str(2**31), str(2**63), str(10**30)])
def test_an_exam_that_is_not_there_is_said_so(settings: Path, command: str, number: str) -> None:
    Ledger(f"sqlite:///{settings.parent}/data/ledger.sqlite").close()
    done = CliRunner().invoke(cli, ["exams", command, number, "-c", str(settings)])
    assert isinstance(done.exception, NotFoundError)


def test_looking_makes_no_ledger_that_the_nodes_user_could_not_write(settings: Path) -> None:
    done = CliRunner().invoke(cli, ["exams", "list", "-c", str(settings)])
    assert isinstance(done.exception, SettingsError)
    assert "expected the ledger of a node that has run" in str(done.exception)
    assert not list((settings.parent / "data").iterdir())


def test_when_the_next_attempt_is_due_is_told(settings: Path) -> None:
    with closing(Ledger(f"sqlite:///{settings.parent}/data/ledger.sqlite")) as ledger:
        number = fill(ledger, "US1")
        first = ledger.deliveries(number)[0]
        ledger.release(number, now=0.0)
        ledger.claim([first.id], now=0.0)
        ledger.retry_later(first.id, at=86_400.0 * 365, error="busy", now=0.0)
    shown = " ".join(said(settings, "show", str(number)).split())
    assert "busy (next attempt 1971-01-01" in shown


def test_the_list_names_exams_whose_results_wait_for_a_person(settings: Path) -> None:
    with closing(Ledger(f"sqlite:///{settings.parent}/data/ledger.sqlite")) as ledger:
        number = fill(ledger, "US1")
    assert f"results that a destination did not take, of exam {number}:" in said(settings, "list")
    assert "that will be tried again: 1" in said(settings, "retry", str(number))
    assert "did not take" not in said(settings, "list")
