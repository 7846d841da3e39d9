"""A peer that commits answers on an association of its own, as Orthanc and dcm4chee do."""

import threading
from contextlib import contextmanager

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from dicomnode.errors import RejectedError
from dicomnode.network.commitment import CommitmentResult, request
from dicomnode.network.peers import Accepted
from parts.serving import serving
from parts.waiting import PATIENCE_S

KEPT, LOST = ("1.2.840.10008.5.1.4.1.1.66.4", "2.25.1"), ("1.2.840.10008.5.1.4.1.1.7", "2.25.2")


def report(information: Dataset, port: int) -> None:
    """Say that the second instance is not there."""
    ae = AE(ae_title="PACS")
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    assoc = ae.associate("127.0.0.1", port, ae_title="CEUSNODE", ext_neg=[role])
    answer = Dataset()
    answer.TransactionUID = information.TransactionUID
    kept, lost = information.ReferencedSOPSequence
    lost.FailureReason = 0x0112
    answer.ReferencedSOPSequence = [kept]
    answer.FailedSOPSequence = [lost]
    assoc.send_n_event_report(
        answer, 2, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    assoc.release()


@contextmanager
def pacs(answer):
    ae = AE(ae_title="PACS")
    ae.add_supported_context(StorageCommitmentPushModel)
    with serving(ae, [(evt.EVT_N_ACTION, answer)]) as peer:
        yield peer


def test_a_peers_answer_reaches_the_receiver(start):
    results, arrived = [], threading.Event()

    def keep(result):
        results.append(result)
        arrived.set()

    receiver = start(on_commitment=keep, accept=(Accepted(ae_title="PACS", hosts=("127.0.0.1",)),))

    def answer(event):
        information = event.action_information
        threading.Thread(target=report, args=(information, receiver.port)).start()
        return 0x0000, None

    with pacs(answer) as peer:
        request([KEPT, LOST], peer, calling_ae="CEUSNODE", transaction_uid="2.25.99")
        assert arrived.wait(PATIENCE_S)
    assert results == [
        CommitmentResult(
            transaction_uid="2.25.99",
            committed=("2.25.1",),
            failed={"2.25.2": "0x0112 no such object instance"},
        )
    ]


def test_a_refused_request_is_an_error_with_its_status():
    with pacs(lambda event: (0x0213, None)) as peer, pytest.raises(RejectedError, match="0x0213"):
        request([KEPT], peer, calling_ae="CEUSNODE", transaction_uid="2.25.99")
