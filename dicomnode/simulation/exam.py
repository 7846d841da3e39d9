"""One simulated exam: recipe in, panes and truth out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.loop import Loop
from dicomnode.simulation import anatomy, motion
from dicomnode.simulation.anatomy import Grid
from dicomnode.simulation.chance import stream
from dicomnode.simulation.habitats import HABITATS
from dicomnode.simulation.panes import BMODE_PSF_MM, bmode_loop, contrast_loop
from dicomnode.simulation.perfusion_grid import PerfusionGrid, perfusion_grid
from dicomnode.simulation.recipe import ExamRecipe, Geometry, Pane
from dicomnode.simulation.screen import Screen, screen

__all__ = ["SimulatedExam", "Truth", "header", "simulate"]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a perfect measurement of the exam would find, in contrast pane coordinates.

    Attributes
    ----------
    label : str
        "malignant" or "benign".
    lesion_mask : ndarray of bool, shape (R, C)
        The lesion within its B-mode edge, where it lies when ``shift_px`` is zero.
    enhanced_mask : ndarray of bool, shape (R, C)
        The lesion as far as it enhances, at least ``lesion_mask``.
    subregion_map : ndarray of uint8, shape (R, C)
        Habitat 1 to 5 (non-perfused; slow low; intermediate; fast in, slow out; fast in, fast out)
        inside the lesion mask, 0 outside.
    power : ndarray of float64, shape (5, T)
        Mean echo power of each habitat before attenuation, in the units of
        :func:`dicomnode.science.loop.linearise` at the true dynamic range.
    shift_px : ndarray of float64, shape (T, 2)
        Row and column by which the tissue of a frame lies off its place in the masks.
    """

    label: str
    lesion_mask: NDArray[np.bool_]
    enhanced_mask: NDArray[np.bool_]
    subregion_map: NDArray[np.uint8]
    power: NDArray[np.float64]
    shift_px: NDArray[np.float64]
    dynamic_range_db: float
    arrival_s: float


@dataclass(frozen=True, kw_only=True)
class SimulatedExam:
    """The panes as arrays, ready to measure or to write."""

    recipe: ExamRecipe
    loop: Loop
    truth: Truth
    screen: Screen
    clip_starts: tuple[int, ...]
    """Index of the first frame of each clip."""

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Paint the scanner's screen frame after frame, (H, W, 3) RGB."""
        bmode = None if self.loop.bmode is None else self.loop.bmode[start:stop]
        return self.screen.frames(self.loop.contrast[start:stop], bmode)


def simulate(recipe: ExamRecipe, geometry: Geometry | None = None) -> SimulatedExam:
    """Simulate one injection.

    The lesion is procedural, or taken from ``geometry``. The same recipe and geometry give the same
    arrays, bit for bit on one machine.
    """
    pane = recipe.pane
    times_s, clip_starts = _clock(stream(recipe, "clock"), pane)
    path = motion.move(stream(recipe, "motion"), recipe.tissue, times_s, pane.spacing_mm)
    grid = Grid(pane.rows, pane.columns, pane.spacing_mm, _margin(recipe))
    body = anatomy.build(stream(recipe, "anatomy"), grid, recipe.lesion, geometry)
    perfused = perfusion_grid(recipe, grid, body, times_s)
    view = screen(
        recipe.display.layout,
        recipe.display.tint,
        pane=(pane.rows, pane.columns),
        spacing_mm=pane.spacing_mm,
        text=header(recipe),
    )
    contrast = contrast_loop(recipe, grid, body, perfused, path, times_s)
    bmode = None if view.bmode is None else bmode_loop(recipe, grid, body, path)
    return SimulatedExam(
        recipe=recipe,
        loop=_loop(recipe, view, contrast, bmode, times_s),
        truth=_truth(recipe, grid, body.lesion, perfused, path, times_s),
        screen=view,
        clip_starts=clip_starts,
    )


def header(recipe: ExamRecipe) -> tuple[str, str]:
    """Text burned in above the panes."""
    range_db = recipe.display.dynamic_range_db
    return (
        f"SIMULATED^CASE {recipe.seed}  dicomnode simulator",
        f"NOT A PATIENT  L12-4  MI 0.07  DR {range_db:g}",
    )


def _clock(rng: np.random.Generator, pane: Pane) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Seconds of every frame from the first, with the pauses between clips; starts of clips."""
    step_s = np.full(pane.frames - 1, 1.0 / pane.frames_per_s)
    step_s *= 1 + pane.jitter * rng.uniform(-1, 1, len(step_s))
    starts = tuple(round(i * pane.frames / pane.clips) for i in range(pane.clips))
    for start in starts[1:]:
        step_s[start - 1] += pane.gap_s
    milliseconds = np.rint(np.cumsum(step_s) * 1e3)
    return np.concatenate([[0.0], milliseconds / 1e3]), starts


def _margin(recipe: ExamRecipe) -> int:
    """Pixels around the pane that motion and the widest point spread may bring into view."""
    spread_mm = 2.7 * max(*recipe.echo.psf_mm, *BMODE_PSF_MM)
    return int(np.ceil((recipe.tissue.reach_mm + spread_mm) / recipe.pane.spacing_mm)) + 4


def _loop(
    recipe: ExamRecipe,
    view: Screen,
    contrast: NDArray[np.uint8],
    bmode: NDArray[np.uint8] | None,
    times_s: NDArray[np.float64],
) -> Loop:
    """The panes with the graphics burned in, as a reader of the clip would find them."""
    graphics, luma = view.pane_ink(view.contrast)
    contrast[:, graphics] = luma[graphics]
    if bmode is not None and view.bmode is not None:
        over, level = view.pane_ink(view.bmode)
        bmode[:, over] = level[over]
    return Loop(
        contrast=contrast,
        bmode=bmode,
        times_s=times_s,
        spacing_mm=(recipe.pane.spacing_mm, recipe.pane.spacing_mm),
        graphics=graphics,
        dynamic_range_db=recipe.display.dynamic_range_db,
        dynamic_range_source="tag",
    )


def _truth(
    recipe: ExamRecipe,
    grid: Grid,
    lesion: NDArray[np.bool_],
    perfused: PerfusionGrid,
    path: motion.Path,
    times_s: NDArray[np.float64],
) -> Truth:
    display = recipe.display
    unit = 10 ** (display.dynamic_range_db / 10) / display.full_scale
    numbers = np.maximum(grid.crop(perfused.numbers), 1)
    mask = grid.crop(lesion)
    return Truth(
        label=recipe.kind,
        lesion_mask=mask,
        enhanced_mask=grid.crop(perfused.enhanced),
        subregion_map=np.where(mask, numbers, 0).astype(np.uint8),
        power=unit * perfused.perfusion.at(times_s)[1 : len(HABITATS) + 1],
        shift_px=path.shift_px,
        dynamic_range_db=display.dynamic_range_db,
        arrival_s=recipe.bolus.arrival_s,
    )
