"""What is deployed is what is tested: the unit's command line with exactly the settings file."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from dicomnode.config import NodeOptions, default_models_dir
from dicomnode.service.node import MODELS_S, STOP_GRACE_S
from parts.waiting import PATIENCE_S, free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNIT = DEPLOY / "dicomnode.service"
SETTINGS = DEPLOY / "node.toml"
INSTALLED_SETTINGS = "/etc/dicomnode/node.toml"


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def test_the_units_command_line_starts_a_node_that_becomes_ready(tmp_path: Path) -> None:
    program, *arguments = shlex.split(unit()["Service"]["ExecStart"])
    assert program == "/opt/dicomnode/bin/dicomnode"
    assert arguments[-1] == INSTALLED_SETTINGS
    port, web_port = free_port(), free_port()
    address = str(tmp_path / "notify")
    environment = {  # what a test may not write to or listen on; everything else is the file's
        "DICOMNODE__NODE__DATA_DIR": str(tmp_path / "data"),
        "DICOMNODE__NODE__HOST": "127.0.0.1",
        "DICOMNODE__NODE__PORT": str(port),
        "DICOMNODE__WEB__PORT": str(web_port),
        "DICOMNODE__MODELS__DIRECTORY": str(default_models_dir()),
        "DICOMNODE__RETENTION__MIN_FREE_GIB": "0.1",
        "NOTIFY_SOCKET": address,
        "WATCHDOG_USEC": "1000000",
    }
    command = [sys.executable, "-m", "dicomnode.cli", *arguments[:-1], str(SETTINGS)]
    log = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, log.open("w") as stream:
        systemd.bind(address)
        node = subprocess.Popen(command, env=os.environ | environment, stderr=stream)
        try:
            _wait_for(systemd, node, "READY=1", log)
            assert _ready(web_port)["dicom"]["found"] == f"127.0.0.1:{port}"
            _wait_for(systemd, node, "WATCHDOG=1", log)
            node.send_signal(signal.SIGHUP)
            assert re.fullmatch(
                r"RELOADING=1\nMONOTONIC_USEC=\d+", _wait_for(systemd, node, "RELOADING=1", log)
            )
            _wait_for(systemd, node, "READY=1", log)
            node.send_signal(signal.SIGTERM)
            told = _wait_for(systemd, node, "STOPPING=1", log)
            assert told == "STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000"
            assert node.wait(PATIENCE_S) == 0
        finally:
            node.kill()
            node.wait()


def _wait_for(
    systemd: socket.socket, node: "subprocess.Popen[bytes]", state: str, log: Path
) -> str:
    """Wait for one of the node's words among others; fail when it ends before."""
    systemd.settimeout(0.5)
    give_up_at = time.monotonic() + PATIENCE_S
    while node.poll() is None and time.monotonic() < give_up_at:
        with suppress(TimeoutError):
            if (told := systemd.recv(200).decode()).startswith(state):
                return told
    raise AssertionError(f"the node never said {state}: {log.read_text()}")


def _ready(web_port: int) -> dict[str, dict[str, str]]:
    address = f"http://127.0.0.1:{web_port}/health/ready"
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error
    assert found["status"] == "ready"
    return dict(found["checks"])


def test_systemd_accepts_the_unit() -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze (Debian package systemd)")
    done = subprocess.run([program, "verify", str(UNIT)], capture_output=True, text=True)
    complaints = [
        line
        for line in done.stderr.splitlines()
        if UNIT.name in line and "is not executable" not in line  # not installed here
    ]
    assert complaints == []


def test_the_unit_confines_the_node_and_lets_it_end_its_own_workers() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed", "SIGTERM reaches the node only, not its workers"
    assert service["OOMPolicy"] == "continue", "a worker out of memory does not end the node"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "true"
    assert service["CapabilityBoundingSet"] == ""
    assert service["SystemCallFilter"] == "@system-service"
    assert service["StateDirectory"] == "dicomnode"
    assert "Environment=ORT_DISABLE_TELEMETRY=1" in UNIT.read_text().splitlines()
    assert int(service["TimeoutStopSec"]) > NodeOptions(data_dir=Path("/")).drain_s + STOP_GRACE_S
    assert int(service["TimeoutStartSec"]) > MODELS_S, "else a slow start is ended, for ever"
    assert service["Restart"] == "always"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["WatchdogSec"]) > 60
    assert service["LimitCORE"] == "0", "a core dump holds patient data"


def test_the_install_steps_name_the_files_that_are_here() -> None:
    text = (DEPLOY / "INSTALL.md").read_text()
    for name in ("deploy/node.toml", "deploy/dicomnode.service", INSTALLED_SETTINGS):
        assert name in text
    assert unit()["Service"]["User"] in text
