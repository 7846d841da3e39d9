"""The two panes, frame by frame: scatterers, point spread, gain and log compression."""

import numpy as np
from numpy.typing import NDArray

from dicomnode.simulation import anatomy, motion, scatter
from dicomnode.simulation.anatomy import Anatomy, Grid
from dicomnode.simulation.chance import stream
from dicomnode.simulation.habitats import GLAND_PEAK, smooth_field
from dicomnode.simulation.perfusion import STEP_S
from dicomnode.simulation.perfusion_grid import PerfusionGrid
from dicomnode.simulation.recipe import ExamRecipe

__all__ = ["BMODE_PSF_MM", "bmode_loop", "contrast_loop"]

BMODE_PSF_MM = (0.11, 0.19)
BMODE_LOOKS = 2
BMODE_RANGE_DB = 56.0
BMODE_FULL_SCALE_DB = 33.0
"""Echo level over the gland's that shows as white."""
BMODE_FLOOR_DB = -20.0


def contrast_loop(
    recipe: ExamRecipe,
    grid: Grid,
    body: Anatomy,
    supply: PerfusionGrid,
    path: motion.Path,
    times_s: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """Contrast loop as grey level, (T, R, C): bubbles, what leaks of the tissue, and noise."""
    echo, display, perfusion = recipe.echo, recipe.display, supply.perfusion
    bubbles = scatter.Scatterers(
        stream(recipe, "bubbles"), grid.shape, looks=echo.looks, persistence=echo.persistence
    )
    here, beside = _leakage(recipe, grid, body)
    depth_gain, noise = _depth_gain(recipe, grid, body)
    density = np.float32(echo.bubbles_per_mm2 * grid.spacing_mm**2 / GLAND_PEAK)
    sigma_px = (echo.psf_mm[0] / grid.spacing_mm, echo.psf_mm[1] / grid.spacing_mm)
    out = np.empty((len(times_s), grid.rows, grid.columns), np.uint8)
    for t, time_s in enumerate(times_s):
        bubbles.advance()
        start = np.float32((time_s - perfusion.arrival_s + perfusion.lead_s) / STEP_S)
        amount = scatter.concentration(
            perfusion.table, start, supply.numbers, supply.delay_steps, supply.gain
        )
        field = scatter.contrast_field(
            scatter.grain_weights(amount, density, np.float32(echo.diffuse)),
            bubbles.field,
            scatter.turn(here, beside, np.float32(path.plane_angle[t])),
            bubbles.innovation,
            noise,
        )
        power = scatter.echo_power(field, sigma_px, tuple(path.shift_px[t]), grid.margin)
        out[t] = scatter.compress(power, depth_gain, display.full_scale, display.dynamic_range_db)
    return out


def _leakage(
    recipe: ExamRecipe, grid: Grid, body: Anatomy
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Tissue echo that the contrast mode does not cancel, in this plane and in the next."""
    rng = stream(recipe, "leakage")
    display = recipe.display
    grainy = 0.6 * smooth_field(rng, grid.shape, 0.3 / grid.spacing_mm)
    level_db = recipe.echo.clutter_db + body.reflector_db + 10 * np.log10(np.e) * grainy
    quiet_db = 0.5 * (recipe.echo.clutter_db - display.dynamic_range_db) - 12.0
    rest_db = quiet_db + 0.5 * body.echogenicity_db
    power = display.full_scale * (10 ** (level_db / 10) + 10 ** (rest_db / 10))
    amplitude = np.sqrt(0.5 * power).astype(np.float32)
    looks = recipe.echo.looks
    here, beside = (
        amplitude * rng.standard_normal((2 * looks, *grid.shape), dtype=np.float32)
        for _ in range(2)
    )
    return here, beside


def _depth_gain(
    recipe: ExamRecipe, grid: Grid, body: Anatomy
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain of every pane pixel (attenuation, shadow) and the noise amplitude it is applied to."""
    depth_cm = np.maximum(grid.position_mm()[0], 0.0)[:, None] / 10
    loss_db = recipe.echo.attenuation_db_per_cm * depth_cm
    behind = 0.5 * anatomy.posterior(grid, recipe.lesion, body.lesion)
    gain_db = behind - loss_db
    display = recipe.display
    noise_db = recipe.echo.noise_db - display.dynamic_range_db + 0.6 * depth_cm
    noise = display.full_scale * 10 ** ((noise_db - gain_db) / 10)
    gain = grid.crop(10 ** (gain_db / 10)).astype(np.float32)
    return gain, np.sqrt(0.5 * noise).astype(np.float32)


def bmode_loop(
    recipe: ExamRecipe, grid: Grid, body: Anatomy, path: motion.Path
) -> NDArray[np.uint8]:
    """B-mode loop of the same tissue under the same motion, (T, R, C)."""
    rng = stream(recipe, "bmode")
    amplitude = np.sqrt(0.5 * 10 ** (body.echogenicity_db / 10)).astype(np.float32)
    here, beside = (
        amplitude * rng.standard_normal((2 * BMODE_LOOKS, *grid.shape), dtype=np.float32)
        for _ in range(2)
    )
    sigma_px = (BMODE_PSF_MM[0] / grid.spacing_mm, BMODE_PSF_MM[1] / grid.spacing_mm)
    unity = np.ones((grid.rows, grid.columns), np.float32)
    floor = np.float32(10 ** (BMODE_FLOOR_DB / 10))
    full_scale = 10 ** (BMODE_FULL_SCALE_DB / 10)
    out = np.empty((len(path.shift_px), grid.rows, grid.columns), np.uint8)
    for t, angle in enumerate(path.plane_angle):
        field = scatter.turn(here, beside, np.float32(angle))
        power = scatter.echo_power(field, sigma_px, tuple(path.shift_px[t]), grid.margin)
        power += floor * rng.standard_exponential(power.shape, dtype=np.float32)
        out[t] = scatter.compress(power, unity, full_scale, BMODE_RANGE_DB)
    return out
