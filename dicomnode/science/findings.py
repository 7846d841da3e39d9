"""Findings of one exam: the values every output (SEG, SR, report, JSON) is made from.

All masks and maps are in the contrast pane's pixel coordinates on the reference frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import Reason
from dicomnode.science.labels import UNRELIABLE

__all__ = [
    "PALETTE",
    "UNRELIABLE",
    "Bolus",
    "Check",
    "Contribution",
    "Curve",
    "Diagnosis",
    "Findings",
    "Lesion",
    "ModelUse",
    "Quality",
    "Region",
    "Spread",
    "Stability",
    "SubRegion",
    "from_simulation",
]

PALETTE: Mapping[int, tuple[int, int, int]] = {
    1: (68, 68, 68),
    2: (0, 114, 178),
    3: (0, 158, 115),
    4: (230, 159, 0),
    5: (213, 94, 0),
    6: (204, 121, 167),
    UNRELIABLE: (187, 187, 187),
}
"""sRGB of each sub-region, the same in every output (Okabe and Ito's colour-blind-safe set)."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median and quartiles of a quantity over a region, in ``unit`` (UCUM)."""

    median: float
    q1: float
    q3: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """Size of the lesion on the reference frame, and how sure the segmenter is of it."""

    area_mm2: float
    long_axis_mm: float
    short_axis_mm: float
    enlargement_ratio: float | None
    """None also where there is no B-mode pane to compare with."""
    outlines: tuple[NDArray[np.float64], ...]
    """Closed polygons, each (N, 2) as (row, column) pixel centres, the largest first."""
    probability: float
    """Of there being a lesion at all, as the segmenter has it."""
    uncertainty: float
    """Of the outline: 0 is sure, 1 a guess."""


@dataclass(frozen=True, kw_only=True)
class SubRegion:
    """One perfusion sub-region of the lesion, or what of it is UNRELIABLE."""

    number: int
    name: str
    fraction: float
    area_mm2: float
    parameters: Mapping[str, Spread]
    """Kinetic parameters by the names of :data:`dicomnode.science.kinetics.PARAMETERS`."""
    relative: Mapping[str, Spread] = field(default_factory=dict)
    """The same against the median of reference tissue: amplitudes as ratios, times as seconds."""

    @property
    def label(self) -> str:
        """Number and name as a person reads them."""
        return self.name if self.number == UNRELIABLE else f"{self.number} {self.name}"

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Display colour, sRGB 0-255."""
        return PALETTE[self.number]


@dataclass(frozen=True, kw_only=True)
class Region:
    """Kinetic parameters of the pixels of a region that could be measured."""

    parameters: Mapping[str, Spread]
    relative: Mapping[str, Spread]
    """As :attr:`SubRegion.relative`; empty for reference tissue itself."""


@dataclass(frozen=True, kw_only=True)
class Bolus:
    """What was fitted to every pixel of the exam."""

    family: str
    """Name of the curve model, one of :data:`dicomnode.science.kinetics.FAMILIES`."""
    deviances: Mapping[str, float]
    """Deviance of each model tried above that of the one chosen, in units of the dispersion."""
    recirculation: float
    """Share of the first pass that comes round again; 0 where none was found."""
    dispersion: float
    """Variance of the samples over that of single-look speckle."""


@dataclass(frozen=True, kw_only=True)
class Stability:
    """How far the sub-region map repeats when the loop's time blocks are drawn again."""

    ari: float
    """Median adjusted Rand index between the map and the maps of the replicates."""
    replicates: int
    agreement: NDArray[np.float32]
    """(R, C): share of replicates that give a pixel the label it has; NaN outside the lesion."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Mean time-intensity curve of a region in linear echo power, arbitrary units."""

    name: str
    number: int | None
    """Sub-region number, or None for lesion and reference tissue."""
    power: NDArray[np.float64]
    """Shape (T,), NaN where a frame was left out."""
    fitted: NDArray[np.float64]
    """Shape (T,), the fitted model at the same times; all NaN where no fit was possible."""
    arrival_s: float | None = None
    """Where the steepest rising tangent of the fitted model leaves the baseline, on the loop's
    clock: unlike the model's own onset, hardly a matter of which family of curves is fitted."""
    baseline: float | None = None
    """Echo power before arrival, by the fitted model."""


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one feature added to the log-odds of malignancy, against the training mean."""

    feature: str
    value: float
    mean: float
    """Of the exams that the classifier learnt from."""
    contribution: float
    meaning: str
    """What the value is, whichever it is."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The classifier's answer; ``indeterminate`` is a respectable one."""

    malignant_probability: float | None
    """None where the classifier refused to answer (out of distribution)."""
    interval: tuple[float, float] | None
    prevalence: float | None
    """Share of malignant exams among those that the probability is calibrated on."""
    decision: Literal["malignant", "benign", "indeterminate"]
    coverage: float
    """Of the conformal set behind the decision; 0 where none was formed."""
    contributions: tuple[Contribution, ...]
    reasons: tuple[Reason, ...] = ()
    """Why the answer is indeterminate, if it is."""

    @classmethod
    def withheld(cls, *reasons: Reason, coverage: float = 0.0) -> "Diagnosis":
        """No answer: indeterminate, without a probability and without contributions to one."""
        return cls(
            malignant_probability=None,
            interval=None,
            prevalence=None,
            decision="indeterminate",
            coverage=coverage,
            contributions=(),
            reasons=reasons,
        )


@dataclass(frozen=True, kw_only=True)
class Check:
    """One quality check: passed or not, against a stated limit."""

    name: str
    value: float | None
    limit: float
    unit: str
    passed: bool
    refuses: bool
    """Whether failing it refuses the exam rather than lowering its grade."""
    message: str


@dataclass(frozen=True, kw_only=True)
class Quality:
    """All quality checks of an exam and the grade they add up to."""

    grade: Literal["A", "B", "C", "D"]
    checks: tuple[Check, ...]


def from_simulation(trained_on: str) -> bool:
    """Tell whether words about training data name simulated exams."""
    return "simulat" in trained_on.lower()


@dataclass(frozen=True, kw_only=True)
class ModelUse:
    """A model bundle that had a part in a result."""

    name: str
    version: str
    task: str
    sha256: str
    """Of the model file."""
    manifest_sha256: str
    """Of the manifest, which says how the model is fed and read: it decides the result as well."""
    trained_on: str
    """The training data in a few words, e.g. "simulated exams"; shown beside every result."""
    figures: tuple[str, ...] = ()
    """How well it does, in sentences that say what that was obtained on."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything measured in one exam. Shapes: T frames, R rows, C columns of the contrast pane."""

    times_s: NDArray[np.float64]
    spacing_mm: tuple[float, float]
    reference_frame: int
    dynamic_range_db: float
    dynamic_range_source: str
    shift_px: NDArray[np.float64]
    """(T, 2): row and column by which the tissue of a frame lies off the reference frame."""
    kept: NDArray[np.bool_]
    """(T,): frames used; the others were out of plane."""
    bmode_image: NDArray[np.uint8] | None
    """(R, C) B-mode on the reference frame."""
    contrast_image: NDArray[np.uint8]
    """(R, C) contrast pane on the reference frame, grey level."""
    contrast_peak: NDArray[np.uint8]
    """(R, C) motion-compensated mean of the frames around peak enhancement, grey level."""
    lesion_mask: NDArray[np.bool_]
    ring_mask: NDArray[np.bool_]
    tissue_mask: NDArray[np.bool_]
    """(R, C) reference tissue."""
    subregion_map: NDArray[np.uint8]
    """(R, C) 0 outside the lesion, 1..K sub-region number, UNRELIABLE."""
    maps: Mapping[str, NDArray[np.float32]]
    """Parameter name to (R, C), NaN outside lesion and ring."""
    curves: tuple[Curve, ...]
    lesion: Lesion
    subregions: tuple[SubRegion, ...]
    whole: Region
    """The lesion as a whole."""
    tissue: Region
    """Reference tissue."""
    bolus: Bolus
    stability: Stability | None
    """None where the lesion was not divided."""
    features: Mapping[str, float]
    diagnosis: Diagnosis
    quality: Quality
    models: tuple[ModelUse, ...]
    warnings: tuple[str, ...] = ()
    """Plain sentences that belong beside the result."""
