"""One node owns a data directory and a ledger; who it is stands in the refusal."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.errors import SettingsError
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
