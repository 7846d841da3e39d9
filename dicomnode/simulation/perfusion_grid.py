"""Perfusion of every pixel of the tissue grid."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomnode.simulation import anatomy
from dicomnode.simulation.anatomy import Anatomy, Grid
from dicomnode.simulation.chance import stream
from dicomnode.simulation.habitats import enlarge, lay_out, smooth_field
from dicomnode.simulation.perfusion import STEP_S, Perfusion, perfuse
from dicomnode.simulation.recipe import ExamRecipe
from dicomnode.simulation.vessels import feed

__all__ = ["PerfusionGrid", "perfusion_grid"]

UNEVEN_LESION, UNEVEN_TISSUE = 0.15, 0.4
"""Log standard deviation of perfusion over some millimetres; in a lesion the habitats vary it."""


class PerfusionGrid(NamedTuple):
    """Which curve every pixel of the grid follows, how late and how strongly."""

    perfusion: Perfusion
    numbers: NDArray[np.uint8]
    enhanced: NDArray[np.bool_]
    delay_steps: NDArray[np.float32]
    gain: NDArray[np.float32]


def perfusion_grid(
    recipe: ExamRecipe, grid: Grid, body: Anatomy, times_s: NDArray[np.float64]
) -> PerfusionGrid:
    """Lay habitats, tissues and vessels out and give every pixel its lag and strength."""
    rng = stream(recipe, "supply")
    spacing_mm = grid.spacing_mm
    enhanced = enlarge(body.lesion, recipe.lesion.enlargement)
    habitats = lay_out(rng, enhanced, recipe.lesion, spacing_mm)
    numbers = np.where(enhanced, habitats, body.tissue)
    vessels = feed(rng, enhanced, spacing_mm, recipe.lesion.feeding_vessels)
    numbers[vessels & ~enhanced] = anatomy.VESSEL
    numbers[grid.position_mm()[0] < anatomy.SKIN_MM] = 0
    delay_s = 0.5 * smooth_field(rng, grid.shape, 2.0 / spacing_mm)
    fine = smooth_field(rng, grid.shape, (0.22 / spacing_mm, 0.4 / spacing_mm))
    coarse = smooth_field(rng, grid.shape, 1.5 / spacing_mm)
    patchy = np.where(enhanced, UNEVEN_LESION, UNEVEN_TISSUE)
    spread = recipe.echo.shimmer
    gain = np.exp(spread * fine - spread**2 / 2 + patchy * coarse - patchy**2 / 2)
    perfusion = perfuse(
        recipe.bolus,
        duration_s=float(times_s[-1]),
        lesion_gain=recipe.lesion.gain,
        contrast_agent=recipe.contrast_agent,
    )
    return PerfusionGrid(
        perfusion,
        numbers.astype(np.uint8),
        enhanced,
        delay_s / np.float32(STEP_S),
        gain.astype(np.float32),
    )
