"""What the settings say of a destination is what deliveries to it know."""

from pathlib import Path

from dicomnode.config import load_settings
from dicomnode.deliver.c_store import CStore
from dicomnode.service.parts import transports

SETTINGS = """
[node]
data_dir = "/srv/node"
[[destination]]
name = "first"
ae_title = "FIRST"
host = "h"
port = 104
[[destination]]
name = "second"
ae_title = "SECOND"
host = "h"
port = 104
transfer_syntax = "uncompressed"
storage_commitment = true
"""


def test_each_key_reaches_its_destination(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(SETTINGS)
    found = {
        name: one
        for name, one in transports(load_settings(path), tmp_path).items()
        if isinstance(one, CStore)
    }
    assert [found[name].peer.ae_title for name in ("first", "second")] == ["FIRST", "SECOND"]
    assert [one.uncompressed for one in found.values()] == [False, True]
    assert [one.storage_commitment for one in found.values()] == [False, True]
