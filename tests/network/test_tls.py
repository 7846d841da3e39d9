"""TLS both ways with DCMTK, and a peer that does not speak it is kept out."""

import socket
import subprocess

import pytest
from pynetdicom import build_context
from pynetdicom.sop_class import Verification

from dicomnode.errors import RejectedError, SettingsError, UnreachableError
from dicomnode.network.association import associate
from dicomnode.network.peers import Accepted
from dicomnode.network.send import echo
from dicomnode.network.tls import client_context, server_context
from parts.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def make_certificate(directory, *protection):
    """A self-signed certificate for localhost and its key."""
    subprocess.run(
        [
            "/usr/bin/openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            *(protection or ("-nodes",)),
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


def test_a_key_that_wants_a_password_is_a_settings_error_and_asks_nobody(tmp_path):
    cert, key = make_certificate(tmp_path, "-passout", "pass:secret")
    with pytest.raises(SettingsError, match="expected a certificate and its key"):
        server_context(certificate=cert, key=key)


def test_another_certificate_is_shown_from_now_on_and_open_associations_go_on(
    receiver, peer_of, certificate, tmp_path
):
    cert, key = certificate
    old = client_context(ca=cert, certificate=cert, key=key)
    new_cert, new_key = make_certificate(tmp_path)
    with associate(
        peer_of(receiver, tls=old), "SCANNER1", [build_context(Verification)]
    ) as open_before:
        receiver.prepare(
            (Accepted(ae_title="SCANNER2", hosts=("127.0.0.1",)),),
            server_context(certificate=new_cert, key=new_key, client_ca=new_cert),
        )()
        assert open_before.send_c_echo().Status == 0x0000
        new = client_context(ca=new_cert, certificate=new_cert, key=new_key)
        echo(peer_of(receiver, tls=new), calling_ae="SCANNER2")
        with pytest.raises(RejectedError):
            echo(peer_of(receiver, tls=new), calling_ae="SCANNER1")
        with pytest.raises(UnreachableError):
            echo(peer_of(receiver, tls=old), calling_ae="SCANNER2")


def test_who_only_looks_whether_the_port_is_served_makes_no_noise(receiver, capsys):
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE_S) as probe:
        probe.shutdown(socket.SHUT_WR)
        assert probe.recv(1) == b""
    receiver.stop()
    assert "connection.lost" not in capsys.readouterr().out
