"""Records as small as the schema allows, for tests that are not about what was found."""

from typing import Literal

from dicomnode.errors import Reason
from dicomnode.record.schema import (
    AnswerPart,
    DiagnosisPart,
    LesionPart,
    QualityPart,
    ReasonPart,
    Record,
)

__all__ = ["ANALYSED", "answered", "refused"]


ANALYSED = Record(status="analysed", reasons=[], exam=None)
"""A record without anything in it."""


def answered(
    decision: Literal["malignant", "benign", "indeterminate"],
    probability: float | None,
    *,
    grade: Literal["A", "B", "C", "D"] = "A",
    short: str = "",
    premises: str = "",
) -> Record:
    """A record with an answer."""
    return Record(
        status="analysed",
        reasons=[],
        exam=None,
        lesion=LesionPart(
            area_mm2=None, long_axis_mm=None, short_axis_mm=None, enlargement_ratio=None
        ),
        answer=AnswerPart(line=short, short=short, premises=premises, because=[]),
        diagnosis=DiagnosisPart(
            malignant_probability=probability,
            interval=None,
            prevalence=0.5,
            decision=decision,
            coverage=0.9,
            contributions=[],
            reasons=[],
        ),
        quality=QualityPart(grade=grade, checks=[]),
    )


def refused(*reasons: Reason) -> Record:
    """A record of an exam that was not analysed."""
    told = [ReasonPart(code=one.code, text=one.text) for one in reasons]
    return Record(status="refused", reasons=told, exam=None)
