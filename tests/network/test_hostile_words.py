"""What a caller writes where a title or a UID belongs goes nowhere but into one line of text."""

import socket
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicomnode.errors import InputError
from dicomnode.network.admission import AssociationRequest
from dicomnode.network.header import read_header
from dicomnode.network.receive import Receiver
from parts.hostile import WORDS

US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def association_request(calling_ae: bytes) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 Table 9-11) for Verification."""
    context = b"".join(
        struct.pack(">BxH", kind, len(uid)) + uid
        for kind, uid in ((0x30, b"1.2.840.10008.1.1"), (0x40, b"1.2.840.10008.1.2"))
    )
    items = struct.pack(">BxH", 0x10, 21) + b"1.2.840.10008.3.1.1.1"
    items += struct.pack(">BxHBxxx", 0x20, 4 + len(context), 1) + context
    length = struct.pack(">BxHL", 0x51, 4, 16384)
    items += struct.pack(">BxH", 0x50, len(length)) + length
    fixed = struct.pack(">Hxx", 1) + b"CEUSNODE".ljust(16) + calling_ae.ljust(16)[:16] + bytes(32)
    return struct.pack(">BxL", 1, len(fixed + items)) + fixed + items


def rewrite(path: Path, keyword: str, value: bytes) -> None:
    """Put these very bytes where a UID was."""
    ds = dcmread(path)
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, "UI", len(value), value, 0, False, True)
    ds.save_as(path)


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_a_caller_is_named_in_one_line_and_turned_away(
    start: Callable[..., Receiver], until: Callable[..., None], word: str
) -> None:
    told: list[tuple[AssociationRequest, str]] = []
    receiver = start(on_rejected=lambda request, reason: told.append((request, reason)))
    title = word.encode("latin-1", "replace")
    with closing(socket.create_connection(("127.0.0.1", receiver.port), 10)) as caller:
        caller.settimeout(10)
        caller.sendall(association_request(title))
        answer = caller.recv(100)
    assert answer[:1] in (b"\x03", b"\x07"), "A-ASSOCIATE-RJ or A-ABORT"
    if answer[:1] == b"\x03":
        until(lambda: told)
        ((request, reason),) = told
        assert request.calling_ae.isprintable()
        assert len(request.calling_ae) <= 16
        assert reason.isprintable()


@pytest.mark.parametrize("keyword", UIDS)
@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_what_is_no_uid_is_refused_by_its_tag(
    us_file: Callable[..., Path], keyword: str, word: str
) -> None:
    path = us_file()
    rewrite(path, keyword, word.encode("utf-8", "replace"))
    with pytest.raises(InputError, match=rf"{keyword} \(00[0-9]{{2}},00") as refused:
        read_header(
            path,
            sop_class_uid=US_MULTI_FRAME,
            sop_instance_uid="1.2.3.4",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
        )
    assert refused.value.code == "invalid-uid"
    assert str(refused.value).isprintable()
