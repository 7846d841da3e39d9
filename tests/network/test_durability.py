"""kill -9 while receiving: whatever was acknowledged is there after the restart."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.network.peers import Peer
from dicomnode.network.send import send
from dicomnode.store.ledger import Ledger
from dicomnode.store.spool import Spool, dataset_sha256

NODE = """
import os, sys, threading, time
from dataclasses import asdict
from pathlib import Path
from dicomnode.network.peers import Accepted
from dicomnode.network.receive import Receiver, ReceiveSettings
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance
from dicomnode.store.spool import Spool

root, dies_in, calls = Path(sys.argv[1]), int(sys.argv[2]), 0
spool, ledger = Spool(root / "spool"), Ledger(f"sqlite:///{root}/ledger.sqlite")
spool.sweep()
ledger.recover(now=time.time())

def store(received):
    global calls
    calls += 1
    if calls == dies_in:
        threading.Timer(float(sys.argv[3]), os.kill, (os.getpid(), 9)).start()
    header, association = received.header, received.association
    stored = spool.keep(
        received.path, study_uid=header.study_uid, sop_instance_uid=header.sop_instance_uid
    )
    ledger.record_instance(
        Instance(
            **asdict(header), **vars(stored), calling_ae=association.calling_ae,
            host=association.host, association_id=association.id,
        ),
        now=time.time(),
    )

receiver = Receiver(
    ReceiveSettings(
        ae_title="CEUSNODE", host="127.0.0.1", port=0, incoming=spool.incoming,
        accept=(Accepted(ae_title="SCANNER1", hosts=("127.0.0.1",)),), min_free_bytes=0,
    ),
    on_store=store,
    on_opened=lambda a: ledger.association_opened(
        a.id, calling_ae=a.calling_ae, host=a.host, now=time.time()
    ),
    on_closed=lambda a: ledger.association_closed(a.id, now=time.time()),
)
receiver.start()
print(f"port={receiver.port}", flush=True)
time.sleep(100_000)
"""


@pytest.fixture
def node(tmp_path):
    started = []

    def start(*, dies_in: int = 0, after_s: float = 0.0) -> tuple[subprocess.Popen, Peer]:
        command = [sys.executable, "-c", NODE, tmp_path, str(dies_in), str(after_s)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        for line in process.stdout:
            if line.startswith("port="):
                break
        port = int(line.removeprefix("port="))
        return process, Peer(name="node", ae_title="CEUSNODE", host="127.0.0.1", port=port)

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_nothing_acknowledged_is_lost_and_nothing_half_is_kept(node, us_file, tmp_path):
    chance = random.Random(1)
    paths = [us_file(number, size_bytes=300_000) for number in range(40)]
    acknowledged: set[Path] = set()
    for _ in range(3):
        process, peer = node(dies_in=chance.randint(2, 30), after_s=chance.uniform(0, 0.02))
        while process.poll() is None:
            answers = send(paths, peer, calling_ae="SCANNER1")
            acknowledged |= {answer.path for answer in answers if answer.status == 0}
    process, peer = node()
    assert acknowledged
    ledger, spool = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite"), Spool(tmp_path / "spool")
    assert not list(spool.incoming.iterdir())
    (exam,) = ledger.exams()
    rows = {row.sop_instance_uid: row for row in ledger.variants_of(exam)}
    for row in rows.values():
        assert dataset_sha256(spool.absolute(row.path)) == row.sha256
    hashes = {row.sha256 for row in rows.values()}
    assert {dataset_sha256(path) for path in acknowledged} <= hashes
    assert all(answer.status == 0 for answer in send(paths, peer, calling_ae="SCANNER1"))
    assert len(ledger.variants_of(exam)) == len(paths)
    ledger.close()
