"""Who is let in, and that silent or slow peers keep nobody else out."""

import socket
from contextlib import ExitStack

import pytest
from pynetdicom import build_context

from dicomnode.errors import RejectedError, SettingsError, UnreachableError
from dicomnode.network.association import associate
from dicomnode.network.peers import Accepted
from dicomnode.network.send import echo
from parts.waiting import PATIENCE_S

VERIFICATION = [build_context("1.2.840.10008.1.1")]


def connect(receiver, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", receiver.port), source_address=(source, 0))


def test_an_unknown_calling_ae_is_rejected(start, dcmtk, inbox, us_file):
    sent = dcmtk("storescu", start(), us_file(), calling="NOBODY")
    assert sent.returncode != 0
    assert "Reason: Calling AE Title Not Recognized" in sent.stdout
    assert not inbox.opened


def test_a_wrong_called_ae_is_rejected(start, dcmtk, us_file):
    sent = dcmtk("storescu", start(), us_file(), called="OTHER")
    assert "Reason: Called AE Title Not Recognized" in sent.stdout


def test_a_known_ae_from_another_host_is_rejected_and_the_log_says_why(start, peer_of, capsys):
    receiver = start(accept=(Accepted(ae_title="SCANNER1", hosts=("192.0.2.0/24",)),))
    with pytest.raises(RejectedError, match="Calling AE title not recognised"):
        echo(peer_of(receiver), calling_ae="SCANNER1")
    assert "not accepted from this host" in capsys.readouterr().out


def test_a_host_name_is_looked_up(start, peer_of):
    receiver = start(accept=(Accepted(ae_title="SCANNER1", hosts=("localhost",)),))
    echo(peer_of(receiver), calling_ae="SCANNER1")


def test_nobody_is_accepted_whom_the_settings_do_not_name(start, peer_of):
    with pytest.raises(RejectedError):
        echo(peer_of(start(accept=())), calling_ae="SCANNER1")


def test_idle_connections_keep_nobody_out(start, peer_of):
    """Found in peers: ten silent connections fill the ten association slots for 30 s."""
    receiver = start(max_associations=3, acse_timeout_s=30.0)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(receiver))
        echo(peer_of(receiver), calling_ae="SCANNER1")


def test_one_host_cannot_take_every_connection(start, peer_of, until, capsys):
    receiver = start(acse_timeout_s=30.0)
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connect(receiver, source="127.0.0.2"))
        until(lambda: "too many open connections" in capsys.readouterr().out)
        echo(peer_of(receiver), calling_ae="SCANNER1")


def test_a_silent_connection_is_closed(start):
    with connect(start(acse_timeout_s=0.5)) as client:
        client.settimeout(PATIENCE_S)
        assert client.recv(1) == b""


def test_a_connection_that_stalls_within_a_message_is_closed(start):
    """Without a time limit on the socket its thread would wait for ever."""
    receiver = start(acse_timeout_s=0.5, network_timeout_s=0.5)
    with connect(receiver) as client:
        client.sendall(b"\x01\x00\x00")
        client.settimeout(PATIENCE_S)
        assert client.recv(1) == b""


def test_an_idle_association_is_ended(start, peer_of, inbox, until):
    receiver = start(network_timeout_s=0.5)
    with associate(peer_of(receiver), "SCANNER1", VERIFICATION):
        until(lambda: inbox.closed)


def test_what_is_not_dicom_is_closed(start, peer_of):
    receiver = start()
    with connect(receiver) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        client.settimeout(PATIENCE_S)
        while client.recv(1000):
            pass
    echo(peer_of(receiver), calling_ae="SCANNER1")


@pytest.mark.parametrize("limit", ["max_associations", "max_associations_per_host"])
def test_beyond_a_limit_the_peer_is_told_to_come_back(start, peer_of, until, limit):
    receiver = start(**{limit: 1})
    peer = peer_of(receiver)
    with (
        associate(peer, "SCANNER1", VERIFICATION),
        pytest.raises(UnreachableError, match="Local limit exceeded"),
    ):
        echo(peer, calling_ae="SCANNER1")
    until(lambda: not receiver.open_associations)
    echo(peer, calling_ae="SCANNER1")


def test_a_port_in_use_is_an_error_that_says_so(start):
    with pytest.raises(SettingsError, match="could not listen on 127"):
        start(port=start().port)


def test_stopping_frees_the_port_at_once(start, peer_of):
    receiver = start()
    port = receiver.port
    receiver.stop()
    echo(peer_of(start(port=port)), calling_ae="SCANNER1")
