"""A real ledger and spool with one exam in them."""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow, Instance
from dicomnode.store.spool import Spool


def plain_step(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """A step without an engine."""
    return function(*args)


@pytest.fixture
def step() -> Callable[..., Any]:
    return plain_step


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield ledger
    ledger.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def queued(ledger: Ledger) -> Callable[..., ExamRow]:
    def queue(study_uid: str = "1.2.3", *, sha256: str = "a" * 64, settle: bool = True) -> ExamRow:
        recorded = ledger.record_instance(
            Instance(
                sop_instance_uid=f"{study_uid}.1",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
                study_uid=study_uid,
                series_uid=f"{study_uid}.9",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                sha256=sha256,
                size_bytes=1,
                path=PurePosixPath("objects/x.dcm"),
                calling_ae="SCANNER1",
                host="127.0.0.1",
                association_id="a",
            ),
            now=0.0,
        )
        exam = ledger.exam(recorded.exam_id)
        return ledger.queue(exam, now=1.0) if settle else exam

    return queue
