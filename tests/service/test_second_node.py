"""One node to a ledger: the second does not start, and one that lost its lock to another ends."""

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from dicomnode.errors import SettingsError
from dicomnode.store.lock import database_lock
from parts.postgres import Postgres
from parts.waiting import PATIENCE_S, wait_until


def expect_refused(site: Any, url: str, first: Any) -> None:
    second = site.start_node(
        DICOMNODE__DATABASE__URL=url, DICOMNODE__NODE__DATA_DIR=str(site.root / "other")
    )
    assert second.process.wait(PATIENCE_S) != 0
    words = second.log.read_text()
    assert f"process {first.process.pid} on" in words
    assert str(site.data_dir) in words
    assert first.process.poll() is None


def test_a_second_node_on_one_sqlite_ledger_does_not_start(site: Any) -> None:
    url = f"sqlite:///{site.root}/shared.sqlite"
    expect_refused(site, url, site.start_node(DICOMNODE__DATABASE__URL=url).ready())


def test_on_postgresql_it_does_not_start_and_a_node_that_lost_its_lock_ends(
    site: Any, postgres: Postgres
) -> None:
    url = postgres.new_database()
    node = site.start_node(DICOMNODE__DATABASE__URL=url).ready()
    expect_refused(site, url, node)
    with ExitStack() as stack:

        def taken() -> bool:
            """Be faster than the node once, after its connection was lost."""
            postgres.disconnect_all()
            with suppress(SettingsError):
                stack.enter_context(database_lock(url, Path("/srv/usurper")))
                return True
            return False

        wait_until("another has the lock", taken)
        assert node.process.wait(PATIENCE_S) != 0
    assert "with data_dir /srv/usurper has it" in node.wait_for("lock.lost")["reason"]
    assert node.saw("node.stopped")
