"""A ledger that an earlier version made: upgraded whole or not at all, its exams finished."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import alembic.op
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from dicomnode.errors import StoreError
from dicomnode.store import migrations, prepare
from dicomnode.store.ledger import Ledger
from dicomnode.store.migrations import revisions
from dicomnode.store.prepare import LaterLedgerError
from dicomnode.store.schema import LEDGER_SCHEMA, metadata
from dicomnode.store.states import DeliveryState, ExamState
from parts.records import ANALYSED
from parts.waiting import PATIENCE_S

FIRST_LANDED = Path(__file__).parent / "first_landed"
UNFINISHED = ("receiving", "queued", "analysing")
UNDELIVERED = ("pending", "sending", "retry")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Another program's way into the same database."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def earlier(engine: Engine) -> None:
    """A ledger of the first landed version, with rows in every unfinished state."""
    script = (FIRST_LANDED / f"{engine.dialect.name}.sql").read_text()
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        for number, state in enumerate((*UNFINISHED, "analysed"), start=1):
            connection.execute(
                text(
                    "INSERT INTO exams (id, study_uid, injection, revision, state, reasons,"
                    " summary, attempt, calling_ae, created_at, changed_at, last_instance_at, job)"
                    " VALUES (:id, :study, 1, 1, :state, '[]', :summary, 1, 'SCANNER1', 1, 1, 1,"
                    " :job)"
                ),
                {
                    "id": number,
                    "study": f"1.2.{number}",
                    "state": state,
                    "summary": '{"decision": "benign", "grade": "A"}' if number == 4 else "{}",
                    "job": f"analyse-{number}-1" if state == "analysing" else None,
                },
            )
        for number, state in enumerate(UNDELIVERED, start=1):
            connection.execute(
                text(
                    "INSERT INTO outputs (id, exam_id, kind, path, sop_class_uid, sop_instance_uid,"
                    " sha256, size_bytes, created_at) VALUES "
                    "(:id, 4, 'seg', 'x', '1.2', :uid, 'ab', 1, 1)"
                ),
                {"id": number, "uid": f"2.25.{number}"},
            )
            connection.execute(
                text(
                    "INSERT INTO deliveries (id, output_id, exam_id, destination, state, attempts,"
                    " next_attempt_at, status, error, changed_at) VALUES "
                    "(:id, :id, 4, 'pacs', :state, 0, 1, :status, '', 1)"
                ),
                {"id": number, "state": state, "status": 0xA700 if state == "retry" else None},
            )


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_the_newest_revision_is_the_one_that_the_tables_are_of() -> None:
    assert revisions()[-1] == LEDGER_SCHEMA


@pytest.mark.parametrize("made", ["new", "earlier"])
def test_the_revisions_and_the_tables_agree(
    engine: Engine, url: str, made: str, request: pytest.FixtureRequest
) -> None:
    if made == "earlier":
        request.getfixturevalue("earlier")
    Ledger(url).close()
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == LEDGER_SCHEMA


def test_what_was_not_finished_is_finished_after_the_upgrade(earlier: None, url: str) -> None:
    with closing(Ledger(url)) as ledger:
        ledger.recover(now=2.0)
        for due in ledger.due_studies(now=1000.0, quiet_s=30.0):
            ledger.queue(due, now=1000.0)
        for exam in ledger.exams(states=[ExamState.QUEUED, ExamState.ANALYSING]):
            taken = exam if exam.job else ledger.begin(exam.id, job="j", now=1001.0)
            assert taken.job is not None
            ledger.finish(
                exam.id, job=taken.job, outputs=[], destinations={}, record=ANALYSED, now=1002.0
            )
        for row in ledger.claim([one.id for one in ledger.due_deliveries(now=1e9)], now=1003.0):
            ledger.sent(row.id, code="0x0000", now=1004.0)
        assert {exam.state for exam in ledger.exams()} == {ExamState.ANALYSED}
        assert {row.state for row in ledger.deliveries(4)} == {DeliveryState.SENT}
        assert ledger.exam(4).summary.decision == "benign"
        assert (ledger.record(4), ledger.record(1)) == (None, ANALYSED)


def test_what_destinations_answered_before_is_kept(earlier: None, url: str) -> None:
    with closing(Ledger(url)) as ledger:
        assert [row.code for row in ledger.deliveries(4)] == ["", "", "0xA700"]


def test_a_copy_of_before_lies_beside_it(earlier: None, url: str, tmp_path: Path) -> None:
    Ledger(url).close()
    if not url.startswith("sqlite"):
        return
    copy = tmp_path / f"ledger.sqlite.before-{LEDGER_SCHEMA}"
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        assert connection.execute("SELECT count(*) FROM exams").fetchone() == (4,)
    assert {"exams", "deliveries"} < names
    assert not {"alembic_version", "rejections", "records"} & names
    Ledger(url).close()
    assert sorted(tmp_path.glob("ledger.sqlite.*")) == [copy], "nothing is copied again"


def test_a_new_ledger_has_nothing_to_copy(url: str, tmp_path: Path) -> None:
    Ledger(url).close()
    assert not list(tmp_path.glob("*.before-*"))


def test_a_ledger_of_a_later_version_is_refused_and_left_as_it_is(
    engine: Engine, url: str, tmp_path: Path
) -> None:
    Ledger(url).close()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = tables(engine)
    with pytest.raises(LaterLedgerError, match=r"0001 to .*, found revision 9999") as refused:
        Ledger(url)
    assert not refused.value.retryable
    assert "run that one" in refused.value.hint
    assert tables(engine) == before
    assert not list(tmp_path.glob("*.before-*"))


def test_an_unknown_ledger_from_before_revisions_is_refused(
    earlier: None, engine: Engine, url: str
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    with pytest.raises(LaterLedgerError, match="schema version 1, found 99"):
        Ledger(url)
    assert "alembic_version" not in tables(engine)


def test_an_upgrade_that_fails_leaves_all_as_it_was(
    earlier: None, engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables(engine)

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(alembic.op, "create_index", full)
        with pytest.raises(OSError, match="no space"):
            Ledger(url)
    assert tables(engine) == before
    Ledger(url).close()
    assert {"records", "rejections"} <= tables(engine)


def test_processes_that_find_an_earlier_ledger_together_upgrade_it_once(
    earlier: None, url: str
) -> None:
    script = "import sys; from dicomnode.store.ledger import Ledger; Ledger(sys.argv[1]).close()"
    started = [
        subprocess.Popen([sys.executable, "-c", script, url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = [process.communicate(timeout=PATIENCE_S)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, told


NextVersion = Callable[[str], AbstractContextManager[None]]
REBUILDS = """
with op.batch_alter_table("exams") as exams:
    exams.alter_column("summary", existing_type=sa.JSON(), nullable=True)
"""
LOSES = 'op.execute("DELETE FROM exams WHERE id = 4")'


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NextVersion:
    """Make this a program with one more revision, which does so much."""

    @contextmanager
    def program(does: str) -> Iterator[None]:
        folder = tmp_path / "migrations"
        shutil.copytree(Path(migrations.__file__).parent, folder)
        body = "".join(f"    {line}\n" for line in does.strip().splitlines())
        (folder / "versions" / "9000_next.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            f"revision, down_revision = '9000', '{LEDGER_SCHEMA}'\ndef upgrade():\n{body}"
        )
        with monkeypatch.context() as patched:
            patched.setattr(migrations, "__file__", str(folder / "__init__.py"))
            patched.setattr(prepare, "LEDGER_SCHEMA", "9000")
            yield

    return program


def test_a_table_that_others_refer_to_is_altered_with_all_rows(
    earlier: None, engine: Engine, url: str, next_version: NextVersion
) -> None:
    with next_version(REBUILDS), closing(Ledger(url)) as ledger:
        assert len(ledger.exams()) == 4
        assert len(ledger.deliveries(4)) == 3
        if url.startswith("sqlite"):
            with ledger._reading() as connection:
                assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    found = inspect(engine)
    nullable = {one["name"]: one["nullable"] for one in found.get_columns("exams")}
    assert (nullable["summary"], nullable["reasons"]) == (True, False)
    assert [one["referred_table"] for one in found.get_foreign_keys("outputs")] == ["exams"]


def test_an_upgrade_that_would_lose_what_rows_name_is_undone(
    earlier: None, engine: Engine, url: str, next_version: NextVersion
) -> None:
    before = tables(engine)
    with next_version(LOSES), pytest.raises(StoreError):
        Ledger(url)
    assert tables(engine) == before
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM exams")) == 4


def test_the_copy_is_made_while_nobody_else_can_write(
    earlier: None, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it lacks what came after it, or is of what another process upgraded meanwhile."""
    if not url.startswith("sqlite"):
        return
    real = prepare._copy_before_upgrade
    refused: list[str] = []

    def copy(file: Path) -> None:
        with closing(sqlite3.connect(file, timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked") as error:
                other.execute("BEGIN IMMEDIATE")
            refused.append(str(error.value))
        real(file)

    monkeypatch.setattr(prepare, "_copy_before_upgrade", copy)
    Ledger(url).close()
    assert len(refused) == 1
    assert (tmp_path / f"ledger.sqlite.before-{LEDGER_SCHEMA}").is_file()
