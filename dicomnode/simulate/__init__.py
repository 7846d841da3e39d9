"""CEUS exams with known truth.

Nothing here is a patient, and no figure measured on these exams is clinical accuracy.
"""

from dicomnode.simulate.cohort import cohort, recipe_for
from dicomnode.simulate.exam import SimulatedExam, Truth, simulate
from dicomnode.simulate.recipe import PRESETS, ExamRecipe, Geometry
from dicomnode.simulate.writer import write, write_truth

__all__ = [
    "PRESETS",
    "ExamRecipe",
    "Geometry",
    "SimulatedExam",
    "Truth",
    "cohort",
    "recipe_for",
    "simulate",
    "write",
    "write_truth",
]
