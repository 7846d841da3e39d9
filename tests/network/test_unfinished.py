"""What an association leaves is removed, also where the disk will not have it."""

import queue
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pynetdicom.association import Association

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
