"""What is deployed is what is tested: the unit's command line with exactly the settings file."""

import configparser
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dicomnode.config import default_models_dir

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNIT = DEPLOY / "dicomnode.service"
SETTINGS = DEPLOY / "node.toml"
INSTALLED_SETTINGS = "/etc/dicomnode/node.toml"
PATIENCE_S = 90


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    }
    command = [sys.executable, "-m", "dicomnode.cli", *arguments[:-1], str(SETTINGS)]
    log = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, log.open("w") as stream:
        systemd.bind(address)
        node = subprocess.Popen(command, env=os.environ | environment, stderr=stream)
        try:
            assert _said(systemd, node) == "READY=1", log.read_text()
            assert _ready(web_port)["dicom"]["found"] == f"127.0.0.1:{port}"
            node.send_signal(signal.SIGTERM)
            assert _said(systemd, node) == "STOPPING=1", log.read_text()
            assert node.wait(PATIENCE_S) == 0
        finally:
            node.kill()
            node.wait()


def _said(systemd: socket.socket, node: "subprocess.Popen[bytes]") -> str:
    """Wait for the node's word; nothing when it ends before."""
    systemd.settimeout(0.5)
    give_up_at = time.monotonic() + PATIENCE_S
    while node.poll() is None and time.monotonic() < give_up_at:
        with suppress(TimeoutError):
            return systemd.recv(100).decode()
    return ""


def _ready(web_port: int) -> dict[str, dict[str, str]]:
    address = f"http://127.0.0.1:{web_port}/health/ready"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
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
    assert int(service["TimeoutStopSec"]) > 60


def test_the_install_steps_name_the_files_that_are_here() -> None:
    text = (DEPLOY / "INSTALL.md").read_text()
    for name in ("deploy/node.toml", "deploy/dicomnode.service", INSTALLED_SETTINGS):
        assert name in text
    assert unit()["Service"]["User"] in text
