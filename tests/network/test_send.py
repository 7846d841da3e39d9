"""What is sent to DCMTK arrives as it lies on disk, and every answer is judged."""

import threading
from contextlib import contextmanager
from shutil import copyfile

import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.config import IGNORE
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from dicomnode.errors import OutputError, RejectedError, StoreError, UnreachableError
from dicomnode.network.association import associate
from dicomnode.network.peers import Peer
from dicomnode.network.send import echo, send
from dicomnode.version import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from parts.serving import serving
from parts.waiting import PATIENCE_S

US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@contextmanager
def scp(answer, syntaxes=(ExplicitVRLittleEndian,), title="PACS"):
    """A peer that answers every C-STORE with what the test says."""
    ae = AE(ae_title=title)
    ae.network_timeout = PATIENCE_S
    ae.require_called_aet = True
    for sop_class in (US_MULTI_FRAME, SECONDARY_CAPTURE):
        ae.add_supported_context(sop_class, list(syntaxes))
    with serving(ae, [(evt.EVT_C_STORE, answer)]) as peer:
        yield peer


def received(storescp):
    return sorted((dcmread(path) for path in storescp.directory.iterdir()), key=str)


def test_several_files_of_several_kinds_go_over_one_association(storescp, us_file):
    paths = [
        us_file(1),
        us_file(2, syntax=JPEGBaseline8Bit),
        us_file(3, sop_class=SECONDARY_CAPTURE),
    ]
    pacs = storescp("+xa")
    answers = send(paths, pacs.peer, calling_ae="CEUSNODE")
    assert [answer.verdict for answer in answers] == ["delivered"] * 3
    assert [answer.path for answer in answers] == paths
    by_uid = {dataset.SOPInstanceUID: dataset for dataset in received(pacs)}
    for path in paths:
        original = dcmread(path)
        copy = by_uid[original.SOPInstanceUID]
        assert copy == original
        assert copy.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID


def test_a_peer_that_knows_only_implicit_gets_uncompressed_data_so(storescp, us_file):
    path = us_file()
    pacs = storescp("+xi")
    (sent,) = send([path], pacs.peer, calling_ae="CEUSNODE")
    assert sent.verdict == "delivered"
    (copy,) = received(pacs)
    assert copy.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert copy.PixelData == dcmread(path).PixelData


def test_a_peer_that_takes_only_some_gets_those(storescp, us_file):
    pacs = storescp("+xi")
    answers = send(
        [us_file(1, syntax=JPEGBaseline8Bit), us_file(2)], pacs.peer, calling_ae="CEUSNODE"
    )
    assert [answer.verdict for answer in answers] == ["never", "delivered"]
    assert answers[0].reason == (
        f"{pacs.peer} accepts no Ultrasound Multi-frame Image Storage in JPEG Baseline (Process 1) "
        '(a [[destination]] with transfer_syntax = "uncompressed" gets it plain)'
    )


def test_a_peer_that_takes_nothing_parks(storescp, us_file):
    (sent,) = send([us_file(syntax=JPEGBaseline8Bit)], storescp("+xi").peer, calling_ae="CEUSNODE")
    assert sent.verdict == "never"
    assert "accepts none of the offered" in sent.reason
    assert 'transfer_syntax = "uncompressed"' in sent.reason


def test_what_is_not_compressed_gets_no_hint_about_compression(us_file):
    with scp(lambda event: 0x0000, syntaxes=[JPEGBaseline8Bit]) as peer:
        answers = send(
            [us_file(1), us_file(2, syntax=JPEGBaseline8Bit)], peer, calling_ae="CEUSNODE"
        )
    assert [answer.verdict for answer in answers] == ["never", "delivered"]
    assert "uncompressed" not in answers[0].reason


class Rewriter:
    """Gives copies of files, of a file that lies ready; notes for which, and in what syntax."""

    def __init__(self, ready=None, error=None, meanwhile=lambda: None):
        self.ready, self.error, self.meanwhile = ready, error, meanwhile
        self.asked, self.given = [], []

    @contextmanager
    def __call__(self, path, syntax):
        self.asked.append((path, syntax))
        if self.error is not None:
            raise self.error
        copy = path.with_suffix(".copy")
        copyfile(self.ready, copy)
        self.meanwhile()
        self.given.append(copy)
        yield copy
        copy.unlink()


def implicit(path):
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(path)
    return path


@pytest.mark.parametrize("option", ["+xe", "+xa"])
def test_with_a_rewriter_nothing_compressed_is_sent(storescp, us_file, option):
    """Not even to a peer that would take it; what is not compressed stays as it is."""
    plain, other = us_file(1), us_file(3)
    rewrite = Rewriter(plain.rename(plain.with_suffix(".plain")))
    compressed = us_file(1, syntax=JPEGBaseline8Bit)
    pacs = storescp(option)
    answers = send([compressed, other], pacs.peer, calling_ae="CEUSNODE", rewrite=rewrite)
    assert [(one.path, one.verdict) for one in answers] == [
        (compressed, "delivered"),
        (other, "delivered"),
    ]
    assert rewrite.asked == [(compressed, ExplicitVRLittleEndian)]
    assert {ds.file_meta.TransferSyntaxUID for ds in received(pacs)} == {ExplicitVRLittleEndian}
    assert not rewrite.given[0].exists()


def test_what_is_rewritten_for_a_peer_that_knows_only_implicit_is_so_at_once(storescp, us_file):
    plain = us_file(1)
    rewrite = Rewriter(implicit(plain.rename(plain.with_suffix(".plain"))))
    compressed = us_file(1, syntax=JPEGBaseline8Bit)
    pacs = storescp("+xi")
    (sent,) = send([compressed], pacs.peer, calling_ae="CEUSNODE", rewrite=rewrite)
    assert sent.verdict == "delivered"
    assert rewrite.asked == [(compressed, ImplicitVRLittleEndian)]
    (copy,) = received(pacs)
    assert copy.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian


def test_nothing_is_rewritten_for_a_peer_that_is_not_there_or_takes_only_jpeg(us_file):
    rewrite = Rewriter()
    paths = [us_file(1, syntax=JPEGBaseline8Bit)]
    nobody = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=1)
    (away,) = send(paths, nobody, calling_ae="CEUSNODE", rewrite=rewrite)
    with scp(lambda event: 0x0000, syntaxes=[JPEGBaseline8Bit]) as peer:
        (refused,) = send(paths, peer, calling_ae="CEUSNODE", rewrite=rewrite)
    assert (away.verdict, refused.verdict) == ("later", "never")
    assert rewrite.asked == []


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(StoreError("the disk is full"), "later"), (OutputError("grey"), "never")],
)
def test_what_cannot_be_rewritten_does_not_keep_the_others(us_file, error, verdict):
    paths = [us_file(1), us_file(2, syntax=JPEGBaseline8Bit), us_file(3)]
    with scp(lambda event: 0x0000) as peer:
        answers = send(paths, peer, calling_ae="CEUSNODE", rewrite=Rewriter(error=error))
    assert [answer.verdict for answer in answers] == ["delivered", verdict, "delivered"]
    assert (answers[1].status, answers[1].reason) == (None, str(error))


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, "delivered"),
        (0xB000, "delivered"),
        (0xA700, "later"),
        (0xA900, "never"),
        (0xC123, "never"),
    ],
)
def test_the_answer_is_judged_with_status_and_words(us_file, status, verdict):
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = "because"
    with scp(lambda event: answer) as peer:
        (sent,) = send([us_file()], peer, calling_ae="CEUSNODE")
    assert (sent.status, sent.verdict) == (status, verdict)
    assert f"0x{status:04X}" in sent.reason
    assert status == 0 or "because" in sent.reason


def test_an_association_names_the_software_that_files_name(us_file):
    seen = []

    def look(event):
        asking = event.assoc.requestor
        seen.append((asking.implementation_class_uid, asking.implementation_version_name))
        return 0x0000

    with scp(look) as peer:
        send([us_file()], peer, calling_ae="CEUSNODE")
    assert seen == [(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)]


def test_after_an_abort_the_rest_is_tried_again(us_file):
    def abort_at_two(event):
        if event.request.AffectedSOPInstanceUID.endswith(".2"):
            event.assoc.abort()
        return 0x0000

    with scp(abort_at_two) as peer:
        answers = send([us_file(1), us_file(2), us_file(3)], peer, calling_ae="CEUSNODE")
    assert [answer.verdict for answer in answers] == ["delivered", "later", "later"]
    assert [answer.status for answer in answers] == [0, None, None]


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "256.256.256.256 "])
def test_a_peer_whose_name_nobody_knows_is_tried_again(us_file, host):
    peer = Peer(name="pacs", ae_title="PACS", host=host, port=104)
    (answer,) = send([us_file()], peer, calling_ae="CEUSNODE")
    assert answer.verdict == "later"
    assert f"PACS@{host}" in answer.reason
    assert "its host must be an address, or a name" in answer.reason


def test_a_peer_that_is_not_there_is_tried_again(us_file):
    peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=1)
    (sent,) = send([us_file()], peer, calling_ae="CEUSNODE")
    assert (sent.verdict, sent.status) == ("later", None)
    with pytest.raises(UnreachableError, match=r"pacs \(PACS@127\.0\.0\.1:1\)"):
        echo(peer, calling_ae="CEUSNODE")


def test_a_peer_that_rejects_for_good_parks_and_says_what_to_do(us_file):
    with scp(lambda event: 0, title="OTHER") as peer:
        (sent,) = send([us_file()], peer, calling_ae="CEUSNODE")
        with pytest.raises(RejectedError, match="Called AE title not recognised"):
            echo(peer, calling_ae="CEUSNODE")
    assert sent.verdict == "never"
    assert "enter this node's AE title and address at the peer" in sent.reason


def test_what_is_no_dicom_file_is_parked_and_the_others_go(us_file, tmp_path):
    text = tmp_path / "text"
    text.write_text("not DICOM" * 100)
    with scp(lambda event: 0x0000) as peer:
        answers = send([text, tmp_path / "none", us_file()], peer, calling_ae="CEUSNODE")
    assert [answer.verdict for answer in answers] == ["never", "never", "delivered"]


def test_more_files_than_one_association_has_contexts_all_arrive(us_file):
    with scp(lambda event: 0x0000) as peer:
        answers = send([us_file(n) for n in range(70)], peer, calling_ae="CEUSNODE")
    assert {answer.verdict for answer in answers} == {"delivered"}


def test_echo_reaches_dcmtk(storescp):
    echo(storescp().peer, calling_ae="CEUSNODE")


def answered():
    answer = C_STORE()
    answer.MessageIDBeingRespondedTo, answer.Status = 1, 0x0000
    return 1, answer


@pytest.mark.parametrize("comes", [answered(), (None, None)], ids=["an answer", "an abort"])
def test_an_answer_waits_for_who_asked(comes):
    """pynetdicom's own thread may look for messages at the moment when an answer comes.

    An abort leaves nothing in its place, by which who asked learns that none will come.
    """
    rounds = threading.Semaphore(0)
    with (
        scp(lambda event: 0x0000) as peer,
        associate(peer, "CEUSNODE", [build_context(US_MULTI_FRAME)]) as assoc,
    ):
        looked = assoc.acse.is_aborted
        assoc.dimse.msg_queue.put(comes)
        assoc.acse.is_aborted = lambda *kind: rounds.release() or looked(*kind)
        for _ in range(3):
            assert rounds.acquire(timeout=PATIENCE_S)
        assert assoc.dimse.msg_queue.qsize() == 1
        assert assoc.dimse.get_msg(block=True) == comes


def test_a_peer_that_loses_patience_meanwhile_keeps_what_it_got(us_file):
    plain, associations = us_file(1), []

    def answer(event):
        associations.append(event.assoc)
        return 0x0000

    rewrite = Rewriter(
        plain.rename(plain.with_suffix(".plain")), meanwhile=lambda: associations[0].abort()
    )
    paths = [us_file(2), us_file(1, syntax=JPEGBaseline8Bit), us_file(3)]
    with scp(answer) as peer:
        answers = send(paths, peer, calling_ae="CEUSNODE", rewrite=rewrite)
    assert [answer.verdict for answer in answers] == ["delivered", "later", "later"]
    assert all("was lost" in answer.reason for answer in answers[1:])


def test_a_comment_is_no_longer_than_one_may_be(us_file, monkeypatch):
    """Such as no library would write."""
    words = "\x1b[31m<b>%s{0}" + "x" * 100_000
    answer = Dataset()
    answer.Status = 0xA700
    answer.add(DataElement("ErrorComment", "LO", words, validation_mode=IGNORE))
    monkeypatch.setattr(Association, "send_c_store", lambda *_, **__: answer)
    with scp(lambda _event: 0x0000) as peer:
        (sent,) = send([us_file()], peer, calling_ae="CEUSNODE")
    assert sent.verdict == "later"
    assert r": \x1b[31m<b>%s{0}xxx" in sent.reason
    assert len(sent.reason) < 200
