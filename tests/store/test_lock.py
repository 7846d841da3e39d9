"""One node owns a data directory and a ledger; who it is stands in the refusal."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.errors import SettingsError, StoreError
from dicomnode.store.lock import database_lock, directory_lock
from parts.waiting import PATIENCE_S


def owner(data_dir: Path) -> str:
    return re.escape(
        f"process {os.getpid()} on {socket.gethostname()} with data_dir {data_dir} has it"
    )


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = "from dicomnode.store.lock import directory_lock as L; from pathlib import Path\n"
    code += f"L(Path({str(tmp_path)!r})).__enter__(); import os; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], timeout=PATIENCE_S)
    with directory_lock(tmp_path), pytest.raises(SettingsError, match=owner(tmp_path)):
        directory_lock(tmp_path).__enter__()
    with directory_lock(tmp_path):
        pass


def test_two_data_directories_do_not_share_an_sqlite_ledger(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "ledger.sqlite")
    with database_lock(f"sqlite:///{tmp_path}/ledger.sqlite", first) as lock:
        lock.keep()
        for name in ("ledger.sqlite", "link.sqlite"):
            with pytest.raises(SettingsError, match=owner(first)):
                database_lock(f"sqlite:///{tmp_path}/{name}", second).__enter__()
    with database_lock(f"sqlite:///{tmp_path}/ledger.sqlite", second):
        pass


def test_a_lock_whose_file_was_removed_is_taken_anew_and_keeps_others_out(tmp_path: Path) -> None:
    with directory_lock(tmp_path) as lock:
        (tmp_path / "lock").unlink()
        lock.keep()
        with pytest.raises(SettingsError, match=owner(tmp_path)):
            directory_lock(tmp_path).__enter__()


def test_a_node_whose_lock_file_was_removed_learns_who_was_faster(tmp_path: Path) -> None:
    with directory_lock(tmp_path) as first:
        (tmp_path / "lock").unlink()
        with directory_lock(tmp_path), pytest.raises(SettingsError, match=owner(tmp_path)):
            first.keep()
        first.keep()


def test_a_directory_that_is_away_is_no_other_node(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with directory_lock(data_dir) as lock:
        data_dir.rename(tmp_path / "away")
        with pytest.raises(StoreError, match="expected the lock of data_dir"):
            lock.keep()
        assert not data_dir.exists()
        (tmp_path / "away").rename(data_dir)
        lock.keep()
