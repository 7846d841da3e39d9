"""No line that this package or pynetdicom writes holds patient data."""

import logging

from dicomnode.errors import InputError
from dicomnode.network.send import send


def test_neither_success_nor_failure_prints_a_patient(
    start, inbox, us_file, dcmtk, peer_of, until, capfd, caplog
):
    caplog.set_level(logging.DEBUG)
    receiver = start()
    dcmtk("storescu", receiver, us_file(1))
    inbox.error = InputError("unreadable-dataset", "expected a dataset")
    send([us_file(2)], peer_of(receiver), calling_ae="SCANNER1")
    until(lambda: len(inbox.closed) == 2)
    printed = "".join(capfd.readouterr()) + caplog.text
    assert "instance.refused" in printed
    assert "SECRET" not in printed
