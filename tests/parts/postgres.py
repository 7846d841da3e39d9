"""A PostgreSQL server of the tests' own: a fresh cluster on loopback, ended with the tests."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg

from parts.programs import program
from parts.waiting import PATIENCE_S, free_port, wait_until

__all__ = ["Postgres", "postgres"]

_USER = "postgres"


@dataclass
class Postgres:
    """A running server. Everything on it may be thrown away."""

    port: int
    process: subprocess.Popen[bytes]
    start: tuple[str, ...]

    def new_database(self) -> str:
        """Make an empty database and give its SQLAlchemy URL."""
        name = f"dicomnode_{next(_NUMBERS)}"
        with psycopg.connect(self._dsn(_USER), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self.port}/{name}"

    def disconnect_all(self) -> None:
        """End every connection, as a server that is restarted does."""
        with psycopg.connect(self._dsn(_USER), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname LIKE 'dicomnode%'"
            )

    def stop(self) -> None:
        """End the server at once; its data stay."""
        self.process.send_signal(signal.SIGINT)  # "fast": open connections are ended
        self.process.wait(PATIENCE_S)

    def go_on(self) -> None:
        """Start it again on the same data and port."""
        self.process = _started(self.start)
        wait_until("PostgreSQL answers", self.answers)

    def answers(self) -> bool:
        try:
            psycopg.connect(self._dsn(_USER), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={_USER} dbname={database}"


_NUMBERS = count(1)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server with a fresh cluster; tests are skipped where there is none to start."""
    initdb = program("initdb", *_server_programs())
    folder = Path(tempfile.mkdtemp(prefix="dicomnode-postgres-"))
    try:
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, _USER)
        data, port = folder / "data", free_port()
        subprocess.run(
            [initdb, "-D", data, "-U", _USER, "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True,
            capture_output=True,
            timeout=PATIENCE_S,
            **_as_user(),
        )
        server = str(Path(initdb).with_name("postgres"))
        settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off")
        start = (server, "-D", str(data), "-p", str(port))
        start += tuple(word for setting in settings for word in ("-c", setting))
        running = Postgres(port=port, process=_started(start), start=start)
        try:
            wait_until("PostgreSQL answers", running.answers)
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **_as_user()
    )


def _as_user() -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(_USER)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


def _server_programs() -> list[str]:
    """Where Debian keeps them, the newest version first; they are not on PATH."""
    return [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
