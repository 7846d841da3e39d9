"""SIGTERM ends a node in bounded time and with status 0, whatever hangs; nothing is lost."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

from dicomnode.store.states import DeliveryState
from parts.serving import serving
from parts.site import Destination

Clip = Callable[..., Path]


@contextmanager
def never_answers() -> Iterator[int]:
    """A peer that takes an association and the object, and then gives no answer."""
    over = threading.Event()
    ae = AE(ae_title="PACS")
    ae.supported_contexts = AllStoragePresentationContexts

    def store(_event: evt.Event) -> int:
        over.wait()
        return 0x0000

    with serving(ae, [(evt.EVT_C_STORE, store)]) as peer:
        try:
            yield peer.port
        finally:
            over.set()


@contextmanager
def accepts_only(*, reads: bool) -> Iterator[int]:
    """A peer that lets TCP connect and says nothing; to one that asks for TLS too."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as held:

        def serve() -> None:
            try:
                while True:
                    connection = held.enter_context(listener.accept()[0])
                    while reads and connection.recv(65_536):
                        pass
            except OSError:
                return  # the test is over

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def never_connects() -> Iterator[int]:
    """A port whose queue is full, so that a connection stays in SYN."""
    with socket.socket() as listener, ExitStack() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port


HANGING = (
    never_answers,
    lambda: accepts_only(reads=True),
    lambda: accepts_only(reads=False),
    never_connects,
)


def test_hanging_destinations_senders_and_workers_do_not_keep_a_node(
    site: Any, clip: Clip, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        ports = [stack.enter_context(HANGING[number % 4]()) for number in range(14)]
        site.further = tuple(
            Destination(name=f"hanging-{number}", ae_title="PACS", port=port)
            for number, port in enumerate(ports)
        )
        site.write_settings(workers=2)
        site.start_pacs()
        node = site.start_node(DICOMNODE__NODE__DRAIN_S="1").ready()
        site.send(clip())
        node.wait_for("delivery.sent", kind="report", destination="pacs")
        for number in range(14):
            node.wait_for("step.started", step="send", destination=f"hanging-{number}")
        site.send(clip("hang.dcm", comment="hang once"))
        node.wait_for("step.started", step="process", exam=2)
        with open_association(site.port):
            assert node.stop() == 0
        assert node.saw("node.stopped")
        for number in range(0, 14, len(HANGING)):
            assert not node.saw("delivery.retry", destination=f"hanging-{number}"), (
                "it was given up only after this peer had answered"
            )
        (first,) = site.ledger().exams()[1:]
        rows = site.ledger().deliveries(first.id)
        assert len(rows) == 15 * 5
        assert {row.state for row in rows if row.destination == "pacs"} == {DeliveryState.SENT}
        assert len([one for one in node.events() if one["event"] == "node.stopping"]) == 1

    site.further = ()
    node = site.start_node().ready()
    node.wait_for("exam.analysed", exam=2)
    node.wait_for("delivery.sent", kind="report", exam=2, destination="pacs")
    assert node.stop() == 0


@contextmanager
def open_association(port: int) -> Iterator[None]:
    ae = AE(ae_title="SCANNER1")
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", port, ae_title="CEUSNODE")
    assert association.is_established
    yield
    association.abort()


HANGS = """
import functools, sys, time
from pathlib import Path
from dicomnode.config import load_settings
from dicomnode.log import configure
from dicomnode.service import node, process
import stand_in

def hang(*_, **__):
    time.sleep(100_000)

if __name__ == "__main__":
    path = Path(sys.argv[-1])
    setattr({where}, hang)
    process.STOP_GRACE_S = 0.5
    settings = load_settings(path)
    configure(settings.log)
    one = node.Node(settings, process=stand_in.process, models=stand_in.models)
    process.run(one, functools.partial(load_settings, path))
"""
PARTS = {
    "the receiver's stop": "node.Receiver, 'stop'",
    "the engine's stop": "node.Engine, 'stop'",
}


@pytest.mark.parametrize("what", PARTS)
def test_a_part_that_never_stops_is_named_and_left(site: Any, tmp_path: Path, what: str) -> None:
    program = tmp_path / "hangs.py"
    program.write_text(HANGS.format(where=PARTS[what]))
    command = (site.command[0], str(program))
    node = site.start_node(command=command, DICOMNODE__NODE__DRAIN_S="0.5").ready()
    assert node.stop() == 0
    cut = node.saw("node.stop_cut_short")
    assert cut is not None
    assert cut["at"][0].endswith(" hang")
    assert node.saw("node.stopped") is None
