"""A ledger that is gone, before a node starts and while it runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.errors import StoreError
from dicomnode.store.ledger import Ledger
from dicomnode.store.pair import expect_pair
from dicomnode.store.spool import Spool


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


def test_a_new_spool_needs_no_ledger(file: Path, spool: Spool) -> None:
    expect_pair(f"sqlite:///{file}", spool)


def test_received_files_without_their_ledger_are_told(file: Path, spool: Spool) -> None:
    keep_a_file(spool)
    with pytest.raises(StoreError, match=r"at .*ledger\.sqlite, found none"):
        expect_pair(f"sqlite:///{file}", spool)
    file.touch()
    with pytest.raises(StoreError, match=r"at .*ledger\.sqlite, found an empty file"):
        expect_pair(f"sqlite:///{file}", spool)


def test_received_files_with_their_ledger_are_a_pair(
    file: Path, spool: Spool, ledger: Ledger
) -> None:
    keep_a_file(spool)
    expect_pair(f"sqlite:///{file}", spool)


def test_a_ledger_in_postgresql_is_not_looked_for_on_the_disk(spool: Spool) -> None:
    keep_a_file(spool)
    expect_pair("postgresql+psycopg://node@localhost/node", spool)


@pytest.mark.parametrize("left", ["nothing", "another file"])
def test_nothing_is_written_to_a_ledger_that_was_taken_away(
    file: Path, ledger: Ledger, left: str
) -> None:
    opened(ledger)
    file.rename(file.with_name("away"))
    if left == "another file":
        file.touch()
    with pytest.raises(StoreError, match=r"ledger\.sqlite, but it was removed or replaced"):
        ledger.association_closed("one", now=2.0)
    file.with_name("away").replace(file)
    ledger.association_closed("one", now=2.0)
