"""The lock of a ledger in PostgreSQL: it ends with its connection, and then it is taken anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.errors import SettingsError, StoreError
from dicomnode.store.lock import database_lock
from parts.postgres import Postgres, postgres

HERE, THERE = Path("/srv/here"), Path("/srv/there")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def test_the_second_node_is_refused_by_name(server: Postgres) -> None:
    url = server.new_database()
    with database_lock(url, HERE) as lock, database_lock(server.new_database(), THERE):
        lock.keep()
        with pytest.raises(
            SettingsError, match=r"process \d+ on \S+ with data_dir /srv/here has it"
        ):
            database_lock(url, THERE).__enter__()
    with database_lock(url, THERE):
        pass


def test_a_lost_connection_is_made_anew_and_keeps_others_out(server: Postgres) -> None:
    url = server.new_database()
    with database_lock(url, HERE) as lock:
        server.disconnect_all()
        lock.keep()
        with pytest.raises(SettingsError, match="/srv/here has it"):
            database_lock(url, THERE).__enter__()


def test_a_node_whose_lock_went_to_another_learns_it(server: Postgres) -> None:
    url = server.new_database()
    with database_lock(url, HERE) as first:
        server.disconnect_all()
        with database_lock(url, THERE), pytest.raises(SettingsError, match="/srv/there has it"):
            first.keep()
        first.keep()


def test_a_server_that_is_away_is_no_other_node(server: Postgres) -> None:
    url = server.new_database()
    with database_lock(url, HERE) as lock:
        server.stop()
        try:
            with pytest.raises(StoreError, match="expected an answer from database"):
                lock.keep()
        finally:
            server.go_on()
        lock.keep()
