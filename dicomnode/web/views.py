"""Views of the ledger's rows for the templates and the API."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dicomnode.kinds import PICTURES
from dicomnode.record.summary import Summary
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import DeliveryRow, ExamRow
from dicomnode.store.states import UNFINISHED, DeliveryState
from dicomnode.web.labels import short_uid, study_label

__all__ = ["exam_page", "exam_rows", "exams_plain"]


def exam_rows(ledger: Ledger, key: bytes, *, limit: int) -> list[dict[str, Any]]:
    """Make the rows of the exam table."""
    exams = ledger.exams(limit=limit)
    deliveries = ledger.deliveries_of([exam.id for exam in exams])
    return [_row(exam, deliveries[exam.id], key) for exam in exams]


def exam_page(ledger: Ledger, exam_id: int, key: bytes) -> dict[str, Any]:
    """Make the page of one exam."""
    exam = ledger.exam(exam_id)
    deliveries = ledger.deliveries(exam_id)
    outputs = ledger.outputs(exam_id)
    return {
        "exam": _row(exam, deliveries, key) | {"attempt": exam.attempt, "replaces": exam.replaces},
        "reasons": (*exam.reasons, *ledger.waits(exam)),
        "unfinished": UNFINISHED,
        "summary": _facts(exam.summary),
        "instances": [
            {
                "uid": short_uid(one.sop_instance_uid),
                "series": short_uid(one.series_uid),
                "sop_class": one.sop_class_uid,
                "size": _size(one.size_bytes),
                "variant": one.variant,
                "received": _when(one.received_at),
                "from": f"{one.calling_ae}@{one.host}",
            }
            for one in ledger.variants_of(exam)
        ],
        "outputs": [
            {
                "kind": one.kind,
                "uid": short_uid(one.sop_instance_uid),
                "size": _size(one.size_bytes),
                "sha256": one.sha256[:12],
            }
            for one in outputs
        ],
        "pictures": [kind for kind in PICTURES if kind in {one.kind for one in outputs}],
        "deliveries": [_delivery(one) for one in deliveries],
    }


def exams_plain(ledger: Ledger, exams: Sequence[ExamRow]) -> list[dict[str, Any]]:
    """Give exams as the API shows them, with their UIDs whole."""
    deliveries = ledger.deliveries_of([exam.id for exam in exams])
    return [_plain(exam, deliveries[exam.id]) for exam in exams]


def _plain(exam: ExamRow, deliveries: Sequence[DeliveryRow]) -> dict[str, Any]:
    return {
        "id": exam.id,
        "study_uid": exam.study_uid,
        "injection": exam.injection,
        "revision": exam.revision,
        "state": exam.state,
        "reasons": [asdict(reason) for reason in exam.reasons],
        "summary": exam.summary.model_dump(mode="json", exclude_defaults=True),
        "replaces": exam.replaces,
        "created_at": _iso(exam.created_at),
        "changed_at": _iso(exam.changed_at),
        "deliveries": [
            {
                "destination": one.destination,
                "kind": one.output.kind,
                "sop_instance_uid": one.output.sop_instance_uid,
                "state": one.state,
                "attempts": one.attempts,
                "error": one.error,
            }
            for one in deliveries
        ],
    }


def _row(exam: ExamRow, deliveries: Sequence[DeliveryRow], key: bytes) -> dict[str, Any]:
    return {
        "id": exam.id,
        "label": study_label(exam.study_uid, key),
        "study": short_uid(exam.study_uid),
        "injection": exam.injection,
        "revision": exam.revision,
        "state": exam.state,
        "reason": exam.reasons[0].text if exam.reasons else "",
        "answer": exam.summary.answer,
        "premises": exam.summary.premises,
        "grade": exam.summary.grade,
        "calling_ae": exam.calling_ae,
        "received": _when(exam.created_at),
        "changed": _when(exam.changed_at),
        "deliveries": _delivery_counts(deliveries),
    }


def _delivery_counts(deliveries: Sequence[DeliveryRow]) -> list[dict[str, Any]]:
    """Count each destination's deliveries by state."""
    counts: dict[str, Counter[DeliveryState]] = {}
    for one in deliveries:
        counts.setdefault(one.destination, Counter())[one.state] += 1
    return [{"destination": name, "states": dict(states)} for name, states in counts.items()]


def _delivery(one: DeliveryRow) -> dict[str, Any]:
    return {
        "destination": one.destination,
        "kind": one.output.kind,
        "state": one.state,
        "attempts": one.attempts,
        "code": one.code,
        "error": one.error,
        "changed": _when(one.changed_at),
        "next": _when(one.next_attempt_at) if one.state is DeliveryState.RETRY else "",
    }


def _facts(summary: Summary) -> dict[str, str]:
    """Write what is not shown elsewhere on the page."""
    written = {
        "Lesion area": None if summary.area_mm2 is None else f"{summary.area_mm2:.0f} mm²",
        "Sub-regions": None if summary.subregions is None else f"{summary.subregions}",
        "Time taken": None if summary.seconds is None else f"{summary.seconds:.1f} s",
    }
    return {name: fact for name, fact in written.items() if fact is not None}


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _when(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _iso(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds")
