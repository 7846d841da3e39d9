"""CEUS exams with known truth.

Nothing here is a patient, and no figure measured on these exams is clinical accuracy.
"""

from dicomnode.simulation.cohort import cohort, recipe_for
from dicomnode.simulation.exam import SimulatedExam, Truth, simulate
from dicomnode.simulation.recipe import PRESETS, ExamRecipe, Geometry
from dicomnode.simulation.writer import write, write_truth

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
