"""What a sender may write where a name or a title belongs."""

import hashlib
from pathlib import PurePosixPath

from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance, Output
from parts.records import answered

__all__ = ["WORDS", "fill"]

WORDS = {
    "a line break": "US1\nlevel=info event=exam.analysed",
    "a carriage return": "US1\rforged",
    "a line separator": "US1\u2028forged\u0085forged",
    "a terminal's commands": "\x1b[2J\x1b[31mred\x07\x9b1m",
    "markup of a page": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'",
    "markup of a terminal": "[red]x[/red] [/] [link=file:///etc/passwd]y [bold",
    "the end of markup": "x\\",
    "a picture's name": "US1:x::warning::red_circle:",
    "a path": "../../../../etc/passwd",
    "nothing": "US1\0\0x",
    "a template": "{{ 7 * 7 }}{% raw %}{0.__class__}%s%n",
    "a formula": "$\\frac{1}{$ $x_{",
    "a command": "$(touch forged); `touch forged` | touch forged &",
    "the other direction": "US1\u202egnp.exe",
    "no character": "US1\udcff",
}
"""Each by what it tries to become."""


def fill(ledger: Ledger, word: str) -> int:
    """An exam in whose every text somebody else had a say, as far as a ledger can hold it."""
    word = word.encode(errors="replace").decode()
    digest = hashlib.sha256(word.encode()).hexdigest()
    ledger.association_rejected(calling_ae=word, called_ae=word, host=word, reason=word, now=99.0)
    exam_id = ledger.record_instance(
        Instance(
            sop_instance_uid=word,
            sop_class_uid=word,
            study_uid=word,
            series_uid=word,
            transfer_syntax_uid=word,
            sha256=digest,
            size_bytes=1,
            path=PurePosixPath("objects/y.dcm"),
            calling_ae=word,
            host=word,
            association_id="b",
        ),
        now=100.0,
    ).exam_id
    ledger.queue(ledger.exam(exam_id), now=101.0)
    ledger.begin(exam_id, job="j", now=102.0)
    output = Output(
        kind=word,
        path=PurePosixPath("outputs/y.dcm"),
        sop_class_uid=word,
        sop_instance_uid=word,
        sha256=digest,
        size_bytes=1,
    )
    ledger.finish(
        exam_id,
        job="j",
        outputs=[output],
        destinations={word: [word]},
        record=answered("benign", None, short=word, premises=word),
        now=103.0,
    )
    (delivery,) = ledger.deliveries(exam_id)
    ledger.claim([delivery.id], now=104.0)
    ledger.park(delivery.id, error=word, now=105.0)
    return exam_id
