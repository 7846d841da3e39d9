"""TLS both ways with DCMTK, and a peer that does not speak it is kept out."""

import socket
import subprocess

import pytest

from dicomnode.errors import SettingsError, UnreachableError
from dicomnode.network.send import echo
from dicomnode.network.tls import client_context, server_context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for localhost and its key."""
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "/usr/bin/openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            directory / "key.pem",
            "-out",
            directory / "cert.pem",
        ],
        check=True,
        capture_output=True,
    )
    return directory / "cert.pem", directory / "key.pem"


@pytest.fixture
def receiver(start, certificate):
    cert, key = certificate
    return start(tls=server_context(certificate=cert, key=key, client_ca=cert))


def test_both_sides_show_certificates(receiver, peer_of, certificate):
    cert, key = certificate
    tls = client_context(ca=cert, certificate=cert, key=key)
    echo(peer_of(receiver, tls=tls), calling_ae="SCANNER1")


def test_a_caller_without_a_certificate_is_kept_out(receiver, peer_of, certificate):
    tls = client_context(ca=certificate[0])
    with pytest.raises(UnreachableError):
        echo(peer_of(receiver, tls=tls), calling_ae="SCANNER1")


def test_a_certificate_of_another_authority_is_not_believed(receiver, peer_of):
    with pytest.raises(UnreachableError):
        echo(peer_of(receiver, tls=client_context()), calling_ae="SCANNER1")


def test_plain_and_silent_callers_block_nobody(receiver, peer_of, certificate):
    """The handshake must not run where connections are accepted."""
    cert, key = certificate
    with socket.create_connection(("127.0.0.1", receiver.port)):
        with pytest.raises(UnreachableError):
            echo(peer_of(receiver), calling_ae="SCANNER1")
        tls = client_context(ca=cert, certificate=cert, key=key)
        echo(peer_of(receiver, tls=tls), calling_ae="SCANNER1")


def test_dcmtk_sends_over_tls(receiver, inbox, us_file, dcmtk, certificate):
    cert, key = certificate
    sent = dcmtk("storescu", receiver, "+tls", key, cert, "+cf", cert, us_file())
    assert sent.returncode == 0, sent.stdout
    assert len(inbox.kept) == 1


def test_a_missing_certificate_is_a_settings_error(tmp_path):
    with pytest.raises(SettingsError, match="expected a certificate and its key"):
        server_context(certificate=tmp_path / "none", key=tmp_path / "none")
