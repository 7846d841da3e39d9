"""The schema of a result's record, which is also ``result.json``.

Numbers that could not be obtained are ``null``; nothing is invented. The record carries UIDs and
measurements, no patient data.
"""

import math
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

__all__ = [
    "RECORD_SCHEMA",
    "AnswerPart",
    "BolusPart",
    "CheckPart",
    "ContributionPart",
    "DiagnosisPart",
    "ExamPart",
    "LesionPart",
    "ModelPart",
    "Number",
    "OutputPart",
    "ParameterPart",
    "Parameters",
    "QualityPart",
    "ReasonPart",
    "Record",
    "Reference",
    "RegionPart",
    "StabilityPart",
    "SubRegionPart",
    "TissuePart",
]


RECORD_SCHEMA: Final = 1
"""Raised when a key of the record changes its meaning or goes; new keys leave it as it is."""


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return round(value, 6) if isinstance(value, float) else value


Number = Annotated[float | None, BeforeValidator(_finite)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReasonPart(_Part):
    """Why something was refused or left undecided."""

    code: str
    text: str


class Reference(_Part):
    """The source frame all masks lie on."""

    sop_instance_uid: str
    frame: int


class ExamPart(_Part):
    """What was analysed."""

    study_uid: str
    injection: int
    clips: int
    frames: int
    duration_s: Number
    spacing_mm: tuple[float, float]
    layout: str
    colour_map: str
    dynamic_range_db: float
    dynamic_range_source: str
    reference: Reference | None


class ParameterPart(_Part):
    """A kinetic parameter over a region; ``unit`` is UCUM, "1" for ratios."""

    median: Number
    iqr: tuple[Number, Number]
    unit: str


Parameters = dict[str, ParameterPart]


class LesionPart(_Part):
    """The lesion on the reference frame: its size, and the kinetics of its reliable pixels."""

    area_mm2: Number
    long_axis_mm: Number
    short_axis_mm: Number
    enlargement_ratio: Number
    probability: Number = None
    """Of there being a lesion at all, as the segmenter has it."""
    uncertainty: Number = None
    """Of the outline: 0 is sure, 1 a guess."""
    parameters: Parameters = {}
    relative: Parameters = {}
    """Against the median of reference tissue: amplitudes as ratios, times as differences."""


class TissuePart(_Part):
    """The reference tissue, which everything relative is set against."""

    parameters: Parameters


class SubRegionPart(_Part):
    """One perfusion sub-region."""

    number: int
    name: str
    fraction: Number
    area_mm2: Number
    parameters: Parameters
    relative: Parameters = {}
    """As in the lesion."""


class RegionPart(_Part):
    """The mean curve of lesion, reference tissue (without a number) or a sub-region."""

    name: str
    number: int | None
    arrival_s: Number
    """Where the steepest rising tangent of the fitted model leaves the baseline, on the loop's
    clock."""
    baseline: Number
    """Echo power before arrival, arbitrary units."""


class BolusPart(_Part):
    """The curve model fitted to every pixel."""

    family: str
    deviances: dict[str, Number]
    """Deviance of each model tried above that of the one chosen, in units of the dispersion."""
    recirculation: Number
    """Share of the first pass that comes round again."""
    dispersion: Number
    """Variance of the samples over that of single-look speckle."""


class StabilityPart(_Part):
    """How far the sub-regions repeat when the loop's time blocks are drawn again."""

    ari: Number
    """Median adjusted Rand index against the map of the result; 1 is the same map."""
    replicates: int


class ContributionPart(_Part):
    """What one feature added to the log-odds of malignancy, against the average exam learnt from.

    ``words`` say what the number is, ``said`` what it says of this lesion.
    """

    feature: str
    value: Number
    mean: Number
    contribution: Number
    words: str
    said: str


class DiagnosisPart(_Part):
    """The classifier's answer."""

    malignant_probability: Number
    interval: tuple[Number, Number] | None
    prevalence: Number
    """Share of malignant exams that the probability assumes."""
    decision: Literal["malignant", "benign", "indeterminate"]
    coverage: float
    contributions: list[ContributionPart]
    reasons: list[ReasonPart]


class AnswerPart(_Part):
    """The answer in the words that every reader is given."""

    line: str
    """The whole answer on one line, without what it assumes."""
    short: str
    """The same in a few words, for lists."""
    premises: str
    """What a probability assumes; empty where nothing needs to be said."""
    because: list[str]
    """What moved the probability, the strongest first."""


class CheckPart(_Part):
    """One quality check; failing one that ``refuses`` refuses the exam, another is a warning."""

    name: str
    value: Number
    limit: Number
    unit: str
    passed: bool
    refuses: bool
    words: str


class QualityPart(_Part):
    """Quality grade and the checks behind it."""

    grade: Literal["A", "B", "C", "D"]
    checks: list[CheckPart]


class ModelPart(_Part):
    """A model bundle that had a part in the result."""

    name: str
    version: str
    sha256: str
    manifest_sha256: str
    trained_on: str


class OutputPart(_Part):
    """A file written beside this record."""

    kind: str
    path: str
    sop_class_uid: str
    sop_instance_uid: str


class Record(_Part):
    """The whole record of one injection's result."""

    record_schema: Literal[1] = RECORD_SCHEMA
    status: Literal["analysed", "refused"]
    reasons: list[ReasonPart]
    exam: ExamPart | None
    lesion: LesionPart | None = None
    tissue: TissuePart | None = None
    subregions: list[SubRegionPart] = []
    regions: list[RegionPart] = []
    bolus: BolusPart | None = None
    stability: StabilityPart | None = None
    """None where the lesion was not divided."""
    answer: AnswerPart | None = None
    diagnosis: DiagnosisPart | None = None
    quality: QualityPart | None = None
    warnings: list[str] = []
    """Plain sentences that belong beside the result."""
    left_out: list[ReasonPart] = []
    """Files of the study that are no part of any exam, each named in its reason."""
    models: list[ModelPart] = []
    outputs: list[OutputPart] = []
    timing_s: dict[str, float] = {}
    notice: str = "Research use only. Not a medical device."
