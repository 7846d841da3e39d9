"""Simulated cohorts: which seeds serve what, and one exam after another."""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.inference.bundle import Source
from dicomnode.science.loop import Loop
from dicomnode.simulation.cohort import recipe_for, shifted
from dicomnode.simulation.exam import SimulatedExam, simulate
from dicomnode.simulation.recipe import ExamRecipe, Geometry, Kind

__all__ = [
    "SEEDS",
    "SIMULATED_EXAMS",
    "Case",
    "CohortName",
    "cases",
    "on_reference",
]

ScalarType = TypeVar("ScalarType", bound=np.generic)

CohortName = Literal[
    "segmenter", "segmenter-held-out", "codebook", "codebook-held-out", "classifier", "evaluation"
]

SEEDS: dict[CohortName, int] = {
    "segmenter": 1_000_000,
    "segmenter-held-out": 2_000_000,
    "codebook": 3_000_000,
    "codebook-held-out": 4_000_000,
    "classifier": 5_000_000,
    "evaluation": 6_000_000,
}
"""First seed of each cohort: no two cohorts ever share an exam."""

LARGEST = 10_000
"""Exams in a cohort at most, and the distance between cohorts of successive seeds."""

SIMULATED_EXAMS = Source(
    name="Exams of this package's simulator, preset small",
    licence="Apache-2.0",
    citation="Kinetics, habitats and nuisance are those of `dicomnode simulate`.",
)


@dataclass(frozen=True)
class Case:
    """One simulated patient."""

    kind: Kind
    seed: int
    is_shifted: bool = False
    """Whether the exam is taken with a scanner that no training has seen."""

    @property
    def recipe(self) -> ExamRecipe:
        """What the exam is made of; small, so that hundreds can be measured."""
        drawn = recipe_for(self.kind, self.seed, preset="small")
        return shifted(drawn) if self.is_shifted else drawn

    def simulate(self, picture: Geometry | None = None) -> SimulatedExam:
        """Make the exam."""
        return simulate(self.recipe, picture)

    def loop(self) -> Loop:
        """Make the exam's loop alone."""
        return self.simulate().loop

    @property
    def key(self) -> str:
        """Tells this exam from every other."""
        return f"{self.seed} shifted" if self.is_shifted else f"{self.seed}"

    @property
    def name(self) -> str:
        """What people call it."""
        return f"seed {self.seed}"

    @property
    def patient(self) -> str:
        """Every simulated patient is examined once."""
        return self.key

    @property
    def is_malignant(self) -> bool:
        """The label to learn."""
        return self.kind == "malignant"


def cases(cohort: CohortName, count: int, seed: int = 1) -> tuple[Case, ...]:
    """Choose the patients of a cohort, malignant and benign in turn.

    Parameters
    ----------
    cohort : str
        A key of :data:`SEEDS`.
    count : int
        At most :data:`LARGEST`.
    seed : int
        1 to 100.
    """
    if not (0 <= count <= LARGEST and 1 <= seed <= 100):
        raise ValueError(
            f"cohort {cohort}: expected up to {LARGEST} exams and a seed from 1 to 100, "
            f"got {count} and {seed}"
        )
    first = SEEDS[cohort] + (seed - 1) * LARGEST
    kinds: tuple[Kind, Kind] = ("malignant", "benign")
    return tuple(Case(kinds[i % 2], first + i) for i in range(count))


def on_reference(
    mask: NDArray[ScalarType], exam: SimulatedExam, reference: int
) -> NDArray[ScalarType]:
    """Move a true mask or map to where the tissue lies on the reference frame."""
    moved = ndimage.shift(
        mask.astype(np.uint8), exam.truth.shift_px[reference], order=0, mode="constant"
    )
    return np.asarray(moved, mask.dtype)
