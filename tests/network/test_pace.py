"""A large object goes out as fast as the peer takes it, and is never in memory."""

import threading
import time
import tracemalloc
from contextlib import contextmanager

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from dicomnode.network import association
from dicomnode.network.send import send
from dicomnode.network.unfinished import discard_unfinished
from parts.serving import serving
from parts.waiting import PATIENCE_S

US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
SIZE_BYTES = 40_000_000
DATA = 1_000
"""Bytes of a PDU that is none of the small ones before and after the data."""


@contextmanager
def scp(on_pdu, maximum_pdu_size=16382):
    """A peer that looks at every PDU, and stores nothing."""
    ae = AE(ae_title="PACS")
    ae.maximum_pdu_size = maximum_pdu_size
    ae.add_supported_context(US_MULTI_FRAME, [ExplicitVRLittleEndian])
    handlers = [
        (evt.EVT_C_STORE, lambda event: 0x0000),
        (evt.EVT_DATA_RECV, on_pdu),
        (evt.EVT_CONN_CLOSE, lambda event: discard_unfinished(event.assoc)),
    ]
    with serving(ae, handlers) as peer:
        yield peer


def peak_bytes(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_slow_peer_is_waited_for(us_file):
    path, seen = us_file(size_bytes=SIZE_BYTES), []

    def stall_once(event):
        if len(event.data) > DATA:
            seen.append(len(event.data))
            time.sleep(1.0 if len(seen) == 1 else 0.0)

    def deliver():
        (sent,) = send([path], peer, calling_ae="CEUSNODE")
        assert sent.verdict == "delivered"

    with scp(stall_once) as peer:
        peak = peak_bytes(deliver)
    assert sum(seen) > SIZE_BYTES
    assert peak < SIZE_BYTES / 4


def test_a_peer_that_reads_no_more_is_given_up(us_file, monkeypatch):
    monkeypatch.setattr(association, "_RESPONSE_TIMEOUT_S", 2.0)
    path, is_over = us_file(size_bytes=SIZE_BYTES), threading.Event()

    def stall(event):
        if len(event.data) > DATA:
            is_over.wait(PATIENCE_S)

    with scp(stall) as peer:
        try:
            (sent,) = send([path], peer, calling_ae="CEUSNODE")
        finally:
            is_over.set()
    assert sent.verdict == "later"


def test_a_peer_that_takes_any_length_gets_pieces(us_file):
    path, seen = us_file(size_bytes=SIZE_BYTES), []
    with scp(lambda event: seen.append(len(event.data)), maximum_pdu_size=0) as peer:
        (sent,) = send([path], peer, calling_ae="CEUSNODE")
    assert sent.verdict == "delivered"
    assert sum(seen) > SIZE_BYTES
    assert max(seen) <= 131072 + 6


def test_an_association_that_ends_in_the_middle_is_not_waited_for(us_file):
    paths = [us_file(1, size_bytes=SIZE_BYTES), us_file(2)]
    seen = []

    def cut(event):
        if len(event.data) > DATA:
            seen.append(len(event.data))
            if len(seen) == 50:
                event.assoc.dul.socket.close()

    with scp(cut) as peer:
        answers = send(paths, peer, calling_ae="CEUSNODE")
    assert [answer.verdict for answer in answers] == ["later", "later"]
    assert all("was lost" in answer.reason for answer in answers)
