"""A ledger that is lost: told, and what was acknowledged is taken up again."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dicomnode.errors import StoreError
from dicomnode.service.take_up import expect_ledger_of
from dicomnode.store.ledger import Ledger
from dicomnode.store.spool import Spool
from dicomnode.store.states import ExamState
from parts.site import Site

Clip = Callable[..., Path]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{file}")
    yield ledger
    ledger.close()


def opened(ledger: Ledger) -> None:
    ledger.association_opened("one", calling_ae="SCANNER1", host="127.0.0.1", now=1.0)


def keep_a_file(spool: Spool) -> None:
    directory = spool.objects / "ab" / "1.2.3"
    directory.mkdir(parents=True)
    (directory / "1.2.3.4-0123.dcm").touch()


def test_a_new_spool_goes_with_a_new_ledger(spool: Spool, ledger: Ledger) -> None:
    expect_ledger_of(spool, ledger)


def test_received_files_beside_a_new_ledger_are_told(spool: Spool, ledger: Ledger) -> None:
    keep_a_file(spool)
    with pytest.raises(StoreError, match=r"the 1 received files below .*, found an empty one"):
        expect_ledger_of(spool, ledger)


def test_received_files_go_with_a_ledger_that_knows_senders(spool: Spool, ledger: Ledger) -> None:
    keep_a_file(spool)
    opened(ledger)
    expect_ledger_of(spool, ledger)


@pytest.mark.parametrize("left", ["nothing", "another file"])
def test_nothing_is_written_to_a_ledger_that_was_taken_away(
    file: Path, ledger: Ledger, left: str
) -> None:
    opened(ledger)
    file.rename(file.with_name("away"))
    if left == "another file":
        file.touch()
    with pytest.raises(
        StoreError, match=r"ledger\.sqlite, but it was removed, replaced or overwritten"
    ):
        ledger.association_closed("one", now=2.0)
    file.with_name("away").replace(file)
    ledger.association_closed("one", now=2.0)


@pytest.mark.parametrize("how", ["truncated", "noise"])
def test_nothing_is_written_to_a_ledger_that_was_overwritten(
    file: Path, ledger: Ledger, how: str
) -> None:
    opened(ledger)
    file.write_bytes(b"" if how == "truncated" else b"\x55" * file.stat().st_size)
    with pytest.raises(StoreError, match="removed, replaced or overwritten"):
        ledger.association_closed("one", now=2.0)


def test_what_was_acknowledged_outlives_its_ledger(site: Site, clip: Clip) -> None:
    node = site.start_node().ready()
    site.start_pacs()
    site.send(clip("one.dcm"), clip("two.dcm"))
    site.wait_until_delivered()
    assert node.stop() == 0
    for file in site.data_dir.glob("ledger.sqlite*"):
        file.unlink()

    refused = site.start_node()
    assert refused.process.wait(site.patience_s) == 1
    said = refused.log.read_text()
    assert "expected the ledger in which the 2 received files" in said
    assert "dicomnode exams take-up" in said

    done = subprocess.run(
        [sys.executable, "-m", "dicomnode.cli", "exams", "take-up", "-c", str(site.settings)],
        capture_output=True,
        text=True,
        timeout=site.patience_s,
    )
    assert (done.returncode, done.stdout) == (0, "received files that are taken up: 2\n")
    site.start_node().ready()
    exams = site.wait_until_delivered()
    assert [exam.state for exam in exams] == [ExamState.ANALYSED] * 2
