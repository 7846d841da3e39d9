"""Which files must lie in the spool: all of them, however many at a time are read."""

from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from dicomnode.store import files
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance, Output
from parts.records import ANALYSED


@pytest.mark.parametrize("at_once", [1, 2, 3, 500])
def test_every_file_is_named_once_with_its_study(
    ledger: Ledger,
    instance: Callable[..., Instance],
    output: Callable[..., Output],
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    monkeypatch.setattr(files, "_AT_ONCE", at_once)
    received = [
        *(instance(number) for number in (1, 2)),
        instance(2, content="b"),
        instance(1, study="1.2.9"),
    ]
    for one in received:
        ledger.record_instance(one, now=0.0)
    exam = ledger.queue(ledger.exam(1), now=1.0)
    ledger.begin(exam.id, job="j", now=2.0)
    made = [output("seg", 1), output("sr", 2)]
    ledger.finish(exam.id, job="j", outputs=made, destinations={}, record=ANALYSED, now=3.0)

    found = list(ledger.recorded_files())
    study = received[0].study_uid
    assert sorted((uid, row.path, row.sha256) for uid, row in found) == sorted(
        [(one.study_uid, one.path, one.sha256) for one in received]
        + [(study, one.path, one.sha256) for one in made]
    )
    assert all(ledger.is_recorded(row.path) for _, row in found)
    assert not ledger.is_recorded(PurePosixPath("objects/00/of-nobody.dcm"))
