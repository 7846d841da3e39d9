"""Summary of a record for lists: kept beside the exam, so that no list reads whole records."""

from typing import Self

from pydantic import BaseModel

from dicomnode.record.schema import Number, Record

__all__ = ["Summary"]


class Summary(BaseModel, frozen=True, extra="ignore"):
    """A record in a few values; all are empty where an exam was not analysed."""

    decision: str | None = None
    malignant_probability: Number = None
    grade: str | None = None
    area_mm2: Number = None
    subregions: int | None = None
    seconds: float | None = None
    answer: str = ""
    """The answer in a few words; empty also in what a version before 0.9 analysed."""
    premises: str = ""
    """What a probability assumes."""

    @classmethod
    def of(cls, record: Record) -> Self:
        """Take from a record what lists show."""
        if record.diagnosis is None or record.quality is None or record.lesion is None:
            return cls()
        return cls(
            decision=record.diagnosis.decision,
            malignant_probability=record.diagnosis.malignant_probability,
            grade=record.quality.grade,
            area_mm2=record.lesion.area_mm2,
            subregions=len(record.subregions),
            seconds=round(sum(record.timing_s.values()), 1),
            answer="" if record.answer is None else record.answer.short,
            premises="" if record.answer is None else record.answer.premises,
        )
