"""The lock of a ledger in PostgreSQL: it ends with its connection, and then it is taken anew."""

from pathlib import Path

import pytest

from dicomnode.errors import SettingsError, StoreError
from dicomnode.store.lock import database_lock
from parts.postgres import Postgres

HERE, THERE = Path("/srv/here"), Path("/srv/there")


def test_the_second_node_is_refused_by_name(postgres: Postgres) -> None:
    url = postgres.new_database()
    with database_lock(url, HERE) as lock, database_lock(postgres.new_database(), THERE):
        lock.keep()
        with pytest.raises(
            SettingsError, match=r"process \d+ on \S+ with data_dir /srv/here has it"
        ):
            database_lock(url, THERE).__enter__()
    with database_lock(url, THERE):
        pass


def test_a_lost_connection_is_made_anew_and_keeps_others_out(postgres: Postgres) -> None:
    url = postgres.new_database()
    with database_lock(url, HERE) as lock:
        postgres.disconnect_all()
        lock.keep()
        with pytest.raises(SettingsError, match="/srv/here has it"):
            database_lock(url, THERE).__enter__()


def test_a_node_whose_lock_went_to_another_learns_it(postgres: Postgres) -> None:
    url = postgres.new_database()
    with database_lock(url, HERE) as first:
        postgres.disconnect_all()
        with database_lock(url, THERE), pytest.raises(SettingsError, match="/srv/there has it"):
            first.keep()
        first.keep()


def test_a_server_that_is_away_is_no_other_node(postgres: Postgres) -> None:
    url = postgres.new_database()
    with database_lock(url, HERE) as lock:
        postgres.stop()
        try:
            with pytest.raises(StoreError, match="expected an answer from database"):
                lock.keep()
        finally:
            postgres.go_on()
        lock.keep()
