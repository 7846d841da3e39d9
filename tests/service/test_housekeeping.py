"""The data directory: one owner, nothing kept in vain, nothing dropped too early."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from dicomnode.config import RetentionOptions, Settings
from dicomnode.errors import BundleError
from dicomnode.service.check import check
from dicomnode.service.housekeeping import Housekeeping
from dicomnode.service.notify import notify
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance, Output
from dicomnode.store.spool import Spool
from parts.records import ANALYSED
from parts.waiting import PATIENCE_S

DAY_S = 86_400.0


class NoJobs:
    """Stands where the engine does."""

    active: frozenset[str] = frozenset()

    def purge(self, *, before: float) -> int:
        return 0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield ledger
    ledger.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def analysed_and_sent(ledger: Ledger, spool: Spool) -> tuple[Path, Path]:
    paths = PurePosixPath("objects/a.dcm"), PurePosixPath("outputs/sr.dcm")
    for path in paths:
        spool.absolute(path).write_bytes(b"x")
    exam_id = ledger.record_instance(
        Instance(
            sop_instance_uid="1.2.3.1",
            sop_class_uid="1.2",
            study_uid="1.2.3",
            series_uid="1.2.4",
            transfer_syntax_uid="1.2",
            sha256="a" * 64,
            size_bytes=1,
            path=paths[0],
            calling_ae="US",
            host="127.0.0.1",
            association_id="a",
        ),
        now=0.0,
    ).exam_id
    ledger.queue(ledger.exam(exam_id), now=0.0)
    ledger.begin(exam_id, job="analyse-1-1", now=0.0)
    output = Output(
        kind="sr",
        path=paths[1],
        sop_class_uid="1.2",
        sop_instance_uid="2.25.1",
        sha256="b" * 64,
        size_bytes=1,
    )
    ledger.finish(
        exam_id,
        job="analyse-1-1",
        outputs=[output],
        destinations={"pacs": ["sr"]},
        record=ANALYSED,
        now=0.0,
    )
    return spool.absolute(paths[0]), spool.absolute(paths[1])


def clean(ledger: Ledger, spool: Spool, *, days: float, now: float) -> None:
    jobs: Any = NoJobs()
    keeping = Housekeeping(ledger, spool, jobs, RetentionOptions(days=days), now=lambda: now)
    keeping.clean()
    keeping.clean()


def test_a_clock_that_is_wrong_or_was_set_removes_nothing(ledger: Ledger, spool: Spool) -> None:
    files = analysed_and_sent(ledger, spool)
    (row,) = ledger.claim([1], now=0.0)
    ledger.sent(row.id, code="0x0000", now=0.0)
    jobs: Any = NoJobs()
    clock = {"wall": 400 * DAY_S, "steady": 0.0}
    keeping = Housekeeping(
        ledger,
        spool,
        jobs,
        RetentionOptions(days=30),
        now=lambda: clock["wall"],
        monotonic=lambda: clock["steady"],
    )
    keeping.clean()  # wrong by a year since the start
    clock.update(wall=35 * DAY_S, steady=3600.0)  # set right
    keeping.clean()
    assert all(path.exists() for path in files)
    clock.update(wall=35 * DAY_S + 3600.0, steady=7200.0)
    keeping.clean()
    assert not any(path.exists() for path in files), "now it is known how old they are"


def test_files_go_only_when_old_and_delivered_and_only_where_wanted(
    ledger: Ledger, spool: Spool
) -> None:
    files = analysed_and_sent(ledger, spool)

    def there() -> list[bool]:
        return [file.exists() for file in files]

    clean(ledger, spool, days=1, now=9 * DAY_S)
    assert all(there()), "not delivered yet"
    (row,) = ledger.claim([1], now=9 * DAY_S)
    ledger.sent(row.id, code="0x0000", now=9 * DAY_S)
    clean(ledger, spool, days=1, now=9.5 * DAY_S)
    assert all(there()), "delivered half a day ago"
    clean(ledger, spool, days=0, now=99 * DAY_S)
    assert all(there()), "0 keeps for ever"
    clean(ledger, spool, days=1, now=11 * DAY_S)
    assert not any(there())
    assert len(ledger.exams()) == 1, "the row stays"


def test_work_that_nobody_does_is_removed(ledger: Ledger, spool: Spool) -> None:
    (spool.work / "analyse-9-1").mkdir()
    clean(ledger, spool, days=0, now=0.0)
    assert not list(spool.work.iterdir())


def test_systemd_is_told_where_it_listens_and_nobody_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "s"))
        notify("RELOADING=1", "MONOTONIC_USEC=1")
        assert systemd.recv(100) == b"RELOADING=1\nMONOTONIC_USEC=1"
    notify("READY=1")  # systemd is gone: nothing depends on it


def test_check_says_what_would_go_wrong(tmp_path: Path) -> None:
    def broken(directory: Path) -> list[str]:
        raise BundleError(f"bundle segmenter: expected a digest in {directory.name}")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(
            node={"data_dir": tmp_path / "data", "port": taken.getsockname()[1]},
            destination=[{"name": "p", "ae_title": "P", "host": "127.0.0.1", "port": 1}],
            web={"enabled": False},
            retention={"min_free_gib": 1e9},
        )
        findings = {one.what: one for one in check(settings, models=broken)}
    assert {what: one.level for what, one in findings.items()} == {
        "settings": "warning",
        "models": "error",
        "data_dir": "error",
        "database": "ok",
        "port": "error",
        "destination p": "warning",
    }
    assert "[[accept]]" in findings["settings"].text
    assert "Address already in use" in findings["port"].text


def test_check_says_that_patient_data_lies_open(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = Settings(
        node={"data_dir": data, "port": 1}, web={"enabled": False}, retention={"min_free_gib": 0}
    )

    def found() -> list[tuple[str, str]]:
        findings = check(settings, models=lambda _: [])
        return [(one.level, one.text) for one in findings if one.what == "data_dir"]

    assert [level for level, _ in found()] == ["ok"], "it was made private"
    data.chmod(0o755)
    assert ("warning", f"{data} is open to others, mode 755; chmod 700 it") in found()


def test_the_service_needs_no_torch() -> None:
    code = "import sys, dicomnode.service.node, dicomnode.service.check\n"
    code += "assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], timeout=PATIENCE_S).returncode == 0
