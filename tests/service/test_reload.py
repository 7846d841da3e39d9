"""SIGHUP: peers, destinations and certificates anew, and nothing that goes on is dropped."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.uid import UltrasoundMultiFrameImageStorage
from pynetdicom import AE

from dicomnode.config import Settings
from dicomnode.service.reload import merged, need_restart
from parts.site import Destination

Clip = Callable[..., Path]


def settings(**changed: Any) -> Settings:
    return Settings(**{"node": {"data_dir": "/srv/node"}} | changed)


def test_what_wants_a_new_start_is_named_and_stays() -> None:
    running = settings()
    wanted = settings(
        node={"data_dir": "/srv/other", "port": 104, "ae_title": "OTHER"},
        accept=[{"ae_title": "NEW", "hosts": ["127.0.0.1"]}],
        database={"url": "sqlite:////srv/ledger"},
        recipe={"ring_mm": 4.0},
    )
    assert need_restart(running, wanted) == [
        "node.ae_title",
        "node.port",
        "node.data_dir",
        "database.url",
        "recipe.ring_mm",
    ]
    effective = merged(running, wanted)
    assert (effective.node, effective.database) == (running.node, running.database)
    assert effective.accept == wanted.accept


def test_peers_are_taken_over_and_open_associations_go_on(site: Any, clip: Clip) -> None:
    site.start_pacs()
    node = site.start_node().ready()
    scanner = AE(ae_title="SCANNER1")
    scanner.add_requested_context(UltrasoundMultiFrameImageStorage)
    open_before = scanner.associate("127.0.0.1", site.port, ae_title="CEUSNODE")
    assert open_before.is_established

    second = Destination(name="archive", ae_title="PACS", port=site.pacs_port)
    site.further = (second,)
    site.write_settings(workers=3)
    text = site.settings.read_text()
    site.settings.write_text(text.replace("SCANNER1", "SCANNER2"))
    node.process.send_signal(signal.SIGHUP)
    assert node.wait_for("settings.need_restart")["keys"] == ["node.workers"]
    assert node.wait_for("settings.reloaded")["destinations"] == ["pacs", "archive"]

    assert site.try_to_send(clip()).returncode != 0, "nobody by that name may send now"
    assert open_before.send_c_store(clip()).Status == 0x0000
    open_before.release()
    node.wait_for("delivery.sent", kind="report", destination="archive")
    assert site.try_to_send(clip("next.dcm"), calling="SCANNER2").returncode == 0


def test_settings_that_cannot_be_used_are_refused_with_their_reason(site: Any, clip: Clip) -> None:
    node = site.start_node().ready()
    good = site.settings.read_text()
    for number, (wrong, reason) in enumerate(
        (
            (good + "[[", "expected TOML"),
            (good.replace("workers", "wrokers"), "did you mean 'workers'?"),
            (good + '\n[tls]\nca = "/nowhere"\n[x]', "x: unknown key"),
            (good.replace('hosts = ["127.0.0.1"]', 'hosts = ["no.such.invalid"]'), "no.such"),
            (_with_tls(good), "expected certificates of an authority in /nowhere"),
        )
    ):
        site.settings.write_text(wrong.replace("SCANNER1", "SCANNER2"))
        node.process.send_signal(signal.SIGHUP)
        site.wait_until(
            "it is refused",
            lambda number=number: len(refusals(node)) == number + 1,
        )
        assert reason in refusals(node)[-1]["reason"]
    assert site.try_to_send(clip(), calling="SCANNER2").returncode != 0
    site.send(clip())
    assert node.process.poll() is None


def _with_tls(text: str) -> str:
    return text.replace("refusals = false", "tls = true") + '\n[tls]\nca = "/nowhere"\n'


def refusals(node: Any) -> list[dict[str, Any]]:
    return [one for one in node.events() if one["event"] == "settings.refused"]
