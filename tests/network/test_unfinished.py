"""What an association leaves is removed, also where the disk will not have it."""

import queue
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pynetdicom.association import Association

from dicomnode.network import receive
from dicomnode.network.peers import Peer
from dicomnode.network.receive import Receiver
from dicomnode.network.send import echo
from dicomnode.network.unfinished import discard_unfinished


def test_a_file_that_the_full_disk_does_not_take_is_removed_without_a_word(tmp_path: Path) -> None:
    left = tmp_path / "left.dcm"
    left.touch()
    with Path("/dev/full").open("wb") as full:
        full.write(b"not yet flushed")
        message: Any = SimpleNamespace(_data_set_file=full, _data_set_path=left)
        dimse = SimpleNamespace(message=message, msg_queue=queue.Queue())
        discard_unfinished(cast("Association", SimpleNamespace(dimse=dimse)))
        assert full.closed
    assert not left.exists()


def test_an_association_ends_whatever_its_end_meets(
    start: Callable[..., Receiver],
    peer_of: Callable[..., Peer],
    until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is open for ever would keep its studies waiting for ever."""
    met = []

    def broken(assoc: Association) -> None:
        met.append(assoc)
        raise RuntimeError("another library, another field")

    monkeypatch.setattr(receive, "discard_unfinished", broken)
    receiver = start()
    echo(peer_of(receiver), calling_ae="SCANNER1")
    until(lambda: met and not receiver.open_associations)
