"""Random streams of an exam."""

from zlib import crc32

import numpy as np

from dicomnode.simulation.recipe import ExamRecipe

__all__ = ["stream"]

PATIENT_STREAMS = ("anatomy", "supply", "leakage")
"""What stays the same from one injection to the next."""


def stream(recipe: ExamRecipe, name: str) -> np.random.Generator:
    """An own source of chance for each part, so that changing one leaves the others alone."""
    injection = 1 if name in PATIENT_STREAMS else recipe.injection
    seeds = np.random.SeedSequence([recipe.seed, crc32(name.encode()), injection])
    return np.random.Generator(np.random.SFC64(seeds))
