"""Who says what is true: acknowledgements, files, the ledger's own bytes, the PACS.

The ledger is read by sqlite3, not by the node's code.
"""

import hashlib
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from service.stand_in import KINDS, result_uid
from torture.figures import Fault, Figure
from torture.scanner import Clip, Scanner, Study

__all__ = ["Books", "doubled", "given_up", "lost", "missing"]

_FINAL_EXAMS = ("analysed", "refused", "failed")
_FINAL_DELIVERIES = ("sent", "committed", "parked")


@dataclass(frozen=True)
class Books:
    """The ledger and the spool of a data directory."""

    data_dir: Path

    def ask(self, query: str, *values: object) -> list[tuple[object, ...]]:
        path = self.data_dir / "ledger.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20.0)) as ledger:
            return ledger.execute(query, values).fetchall()

    def exams(self) -> list[tuple[object, ...]]:
        return self.ask("select id, study_uid, state, reasons from exams order by id")

    def unfinished(self) -> list[str]:
        """Rows that are not final, in words."""
        exams = self.ask(
            "select id, state, attempt from exams where state not in (?, ?, ?)", *_FINAL_EXAMS
        )
        deliveries = self.ask(
            "select id, state, destination, error from deliveries where state not in (?, ?, ?)",
            *_FINAL_DELIVERIES,
        )
        return [
            *(f"exam {number} is {state}" for number, state, _ in exams),
            *(
                f"delivery {n} to {where} is {state} ({error})"
                for n, state, where, error in deliveries
            ),
        ]

    def outputs(self) -> Mapping[str, str]:
        rows = self.ask("select sop_instance_uid, sha256 from outputs")
        return {str(uid): str(sha256) for uid, sha256 in rows}

    def holds(self, clip: Clip) -> bool:
        """Whether a row leads to a file with these very bytes."""
        rows = self.ask("select path from instances where sop_instance_uid = ?", clip.uid)
        return any(self._dataset(str(path)) == clip.sha256 for (path,) in rows)

    def in_spool(self, clip: Clip) -> bool:
        """Whether a file with these bytes lies there, with a row or without."""
        found = self.data_dir.glob(f"spool/objects/*/*/{clip.uid}-*.dcm")
        return any(_dataset_sha256(path) == clip.sha256 for path in found)

    def _dataset(self, path: str) -> str:
        file = self.data_dir / "spool" / path
        return _dataset_sha256(file) if file.is_file() else ""


def _dataset_sha256(path: Path) -> str:
    """Hash what follows the meta information (PS3.10 7.1), whatever it is."""
    content = path.read_bytes()
    (meta_bytes,) = struct.unpack("<L", content[140:144])
    return hashlib.sha256(content[144 + meta_bytes :]).hexdigest()


def lost(books: Books, scanner: Scanner) -> Iterator[Fault]:
    """Instances that were acknowledged and are in no row, or whose file is not those bytes."""
    for clip in scanner.acknowledged.values():
        if not books.holds(clip):
            where = "its file is in the spool" if books.in_spool(clip) else "nor is its file there"
            yield Fault(Figure.LOST, f"{clip.uid} was acknowledged; no row leads to it, {where}")


def missing(held: Mapping[str, set[str]], study: Study) -> Iterator[Fault]:
    """Results of all clips of a study that the PACS does not hold."""
    sources = [clip.uid for clip in study.clips]
    injections = 2 if study.comment == "two injections" else 1
    for injection in range(1, injections + 1):
        for kind in KINDS:
            if result_uid(kind, injection, sources) not in held:
                yield Fault(Figure.MISSING, f"{kind} of study {study.uid}, injection {injection}")


def doubled(books: Books, held: Mapping[str, set[str]]) -> Iterator[Fault]:
    """Results that came in two versions, or that the ledger does not know as it was sent."""
    recorded = books.outputs()
    for uid, digests in held.items():
        if digests != {recorded.get(uid)}:
            yield Fault(
                Figure.DOUBLED, f"{uid} came as {sorted(digests)}, recorded is {recorded.get(uid)}"
            )


def given_up(books: Books, guilty: set[str]) -> Iterator[Fault]:
    """Exams that failed though nothing was wrong with them, and deliveries that were parked."""
    for number, study_uid, state, reasons in books.exams():
        if state in ("failed", "refused") and study_uid not in guilty:
            yield Fault(Figure.GIVEN_UP, f"exam {number} {state}: {reasons}")
