"""Several processes and threads work on one ledger, as the node and `dicomnode exams retry` do."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from dicomnode.store.ledger import Ledger
from dicomnode.store.states import DeliveryState
from parts.descriptors import descriptors
from parts.records import ANALYSED
from parts.waiting import PATIENCE_S

RECORD = """
import sys
from pathlib import PurePosixPath
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance
url, name = sys.argv[1:]
ledger = Ledger(url)
for number in range(25):
    ledger.record_instance(Instance(
        sop_instance_uid=f"1.2.{number}", sop_class_uid="1.2", study_uid="1.2", series_uid="1.2",
        transfer_syntax_uid="1.2", sha256=f"{number:064}", size_bytes=1,
        path=PurePosixPath("x"), calling_ae=name, host="h", association_id=name), now=0.0)
"""

CLAIM = """
import sys
from dicomnode.store.ledger import Ledger
ledger = Ledger(sys.argv[1])
for due in ledger.due_deliveries(now=1000.0):
    for claimed in ledger.claim([due.id], now=1000.0):
        print(claimed.id, flush=True)
"""


def run_twice(script, *arguments):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, *[one.format(number) for one in arguments]],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    texts = [process.communicate(timeout=PATIENCE_S)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return texts


def test_two_processes_record_each_instance_once(url, ledger):
    run_twice(RECORD, url, "AE{}")
    (exam,) = ledger.exams()
    rows = ledger.variants_of(exam)
    assert sorted(row.sop_instance_uid for row in rows) == sorted(f"1.2.{n}" for n in range(25))


def test_two_processes_claim_each_delivery_once(url, ledger, instance, output):
    recorded = ledger.record_instance(instance(), now=0.0)
    (due,) = ledger.due_studies(now=100.0, quiet_s=30.0)
    ledger.queue(due, now=100.0)
    ledger.begin(recorded.exam_id, job="j", now=100.0)
    ledger.finish(
        recorded.exam_id,
        job="j",
        outputs=[output("seg", number) for number in range(40)],
        destinations={"pacs": ["seg"]},
        record=ANALYSED,
        now=100.0,
    )
    claims = Counter("".join(run_twice(CLAIM, url)).split())
    assert len(claims) == 40
    assert set(claims.values()) == {1}
    assert ledger.delivery_counts()[DeliveryState.SENDING] == 40


VISIT = """
import sys
from dicomnode.store.ledger import Ledger

ledger = Ledger(sys.argv[1])
print(len(ledger.exams()))
ledger.close()
"""


def test_a_process_that_comes_and_goes_leaves_what_was_written_last(url, ledger, instance):
    """SQLite's last visitor tidies up; whoever is still there must not pass for gone."""
    for number in range(1, 4):
        ledger.record_instance(instance(study=f"1.2.{number}"), now=float(number))
        seen = subprocess.run(
            [sys.executable, "-c", VISIT, url], capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert seen.stdout.split() == [str(number)], seen.stderr


def test_threads_that_crowd_open_no_more_of_its_file(tmp_path: Path) -> None:
    """SQLite keeps a closed connection's file open as long as another one has it."""
    file = tmp_path / "ledger.sqlite"
    ledger = Ledger(f"sqlite:///{file}")
    ledger.open_all()
    before = descriptors(file)
    crowd = Barrier(10)

    def read(_: int) -> None:
        with ledger._reading():
            crowd.wait(PATIENCE_S)

    with ThreadPoolExecutor(2 * crowd.parties) as threads:
        list(threads.map(read, range(2 * crowd.parties)))
    assert descriptors(file) == before
    ledger.close()
