"""The phantom of the sub-region figures: five kinds of perfusion under point-spread speckle.

One patient is a breast lesion 12 mm across in evenly perfused gland, on a pane of 128 x 128 pixels
of 0.15 mm, 300 frames at 4 a second. Everything random comes from the simulator's own dice for a
malignant lesion of the same seed (:func:`dicomnode.simulation.recipe_for`):

- *Kinetics*: :data:`dicomnode.simulation.habitats.HABITATS` in the lesion and its gland around it;
  lognormal, gamma variate, LDRW or FPT, one per patient; a second pass of 5 to 20 % of the first
  after 15 to 30 s; slow destruction of bubbles. Nuisance: sd of ln gain 0.45, of the time scale
  12 %, of the injection's delay 2 s.
- *Layout*: shells, patches or both (:func:`dicomnode.simulation.habitats.lay_out`), about 1 to 4 mm
  wide. All five kinds are there: each takes 10 % of the lesion, the rest is shared by chance.
- *Echo*: I = |h * (sqrt(C) n)|² + floor, a single look, renewed in every frame. The point spread h
  (standard deviation of its amplitude 0.11 mm in depth, 0.17 mm along the probe) acts on the field
  of scatterers, so that neighbouring pixels share their speckle and kinds mix across their edges.
- *Display*: log-compressed to 8 bit over 60 dB, white at 16 times the usual peak of an
  intermediate habitat, floor 7 dB above black.

The full simulated exam adds what is left out here: motion, graphics, grains of single bubbles,
texture of vessels, uneven perfusion within a kind, lesions brighter or darker as a whole, leaking
tissue echo, attenuation, shadow, persistence, fewer frames, JPEG. A repeat is the same patient and
layout with new speckle. None of this is a patient.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from dicomnode.science.loop import Loop
from dicomnode.science.perfusion import Regions
from dicomnode.science.sampling import Motion
from dicomnode.simulation import ExamRecipe, recipe_for
from dicomnode.simulation.anatomy import GLAND, Grid, build
from dicomnode.simulation.chance import stream
from dicomnode.simulation.habitats import lay_out
from dicomnode.simulation.perfusion import perfuse
from dicomnode.simulation.recipe import Echo
from dicomnode.simulation.scatter import Scatterers, compress, echo_power

__all__ = ["SPACING_MM", "Phantom", "phantom"]

FRAMES, FRAMES_PER_S = 300, 4.0
SIDE_PX, SPACING_MM = 128, 0.15
LESION_MM, ASPECT = 12.0, 1.2
LEAST_SHARE = 0.1
TISSUE_MM = (1.0, 4.0)
"""Nearest and farthest reference tissue, from the lesion's edge."""
RANGE_DB, FULL_SCALE, FLOOR_DB = 60.0, 16.0, 7.0


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """A loop, where everything lies in it, and what its pixels truly are and would show.

    Attributes
    ----------
    loop : Loop
    truth : ndarray of uint8, shape (R, C)
        Kind 1 to 5 in the lesion, 0 outside.
    regions : Regions
    noise_free : ndarray of float32, shape (T, R, C)
        Mean echo power in units of the loop's linearised power: blurred, without speckle.
    """

    loop: Loop
    truth: NDArray[np.uint8]
    regions: Regions
    noise_free: NDArray[np.float32]

    @property
    def still(self) -> Motion:
        """No motion at all."""
        frames = len(self.loop.times_s)
        return Motion(
            shift_px=np.zeros((frames, 2)),
            ncc=np.ones(frames),
            kept=np.ones(frames, np.bool_),
            reference=frames // 2,
            source="contrast",
        )


def phantom(seed: int, repeat: int = 0) -> Phantom:
    """Make patient ``seed``; every ``repeat`` has speckle of its own."""
    recipe = _recipe(seed, repeat)
    psf_px = tuple(each / SPACING_MM for each in Echo().psf_mm)
    grid = Grid(SIDE_PX, SIDE_PX, SPACING_MM, int(np.ceil(2.7 * max(psf_px))) + 4)
    lesion = build(stream(recipe, "anatomy"), grid, recipe.lesion, None).lesion
    layout = lay_out(stream(recipe, "supply"), lesion, recipe.lesion, SPACING_MM)
    numbers = np.where(lesion, layout, GLAND)
    times_s = np.arange(FRAMES) / FRAMES_PER_S
    curves = perfuse(recipe.bolus, duration_s=float(times_s[-1])).at(times_s).astype(np.float32)
    truth = grid.crop(layout)
    return Phantom(
        loop=_loop(_grey(recipe, grid, numbers, curves, psf_px), times_s),
        truth=truth,
        regions=_regions(truth > 0),
        noise_free=_noise_free(grid, numbers, curves, psf_px),
    )


def _recipe(seed: int, repeat: int) -> ExamRecipe:
    drawn = recipe_for("malignant", seed)
    shares = np.random.default_rng([seed, 5]).dirichlet(np.full(5, 2.0))
    fractions = LEAST_SHARE + (1 - 5 * LEAST_SHARE) * shares
    lesion = replace(
        drawn.lesion, size_mm=LESION_MM, aspect=ASPECT, spicules=0, fractions=tuple(fractions)
    )
    return replace(drawn, lesion=lesion, injection=1 + repeat)


def _grey(
    recipe: ExamRecipe,
    grid: Grid,
    numbers: NDArray[np.uint8],
    curves: NDArray[np.float32],
    psf_px: tuple[float, ...],
) -> NDArray[np.uint8]:
    scatterers = Scatterers(stream(recipe, "bubbles"), grid.shape, looks=1, persistence=0.0)
    amplitudes = np.sqrt(0.5 * curves)
    unity = np.ones((grid.rows, grid.columns), np.float32)
    grey = np.empty((curves.shape[1], grid.rows, grid.columns), np.uint8)
    for t, frame in enumerate(grey):
        scatterers.advance()
        field = amplitudes[:, t][numbers] * scatterers.field
        power = echo_power(field, psf_px, (0.0, 0.0), grid.margin) + _floor()
        frame[:] = compress(power, unity, FULL_SCALE, RANGE_DB)
    return grey


def _floor() -> np.float32:
    return np.float32(FULL_SCALE * 10 ** ((FLOOR_DB - RANGE_DB) / 10))


def _noise_free(
    grid: Grid, numbers: NDArray[np.uint8], curves: NDArray[np.float32], psf_px: tuple[float, ...]
) -> NDArray[np.float32]:
    """Sum over kinds of their curve times how much of each pixel's point spread they fill."""
    unit = 10 ** (RANGE_DB / 10) / FULL_SCALE
    total = np.full((curves.shape[1], grid.rows, grid.columns), _floor() * unit, np.float32)
    for number in np.unique(numbers):
        share = grid.crop(_spread((numbers == number).astype(np.float64), psf_px))
        total += (unit * curves[number])[:, None, None] * share.astype(np.float32)
    return total


def _spread(image: NDArray[np.float64], psf_px: tuple[float, ...]) -> NDArray[np.float64]:
    """Convolve with |h|², which is narrower than h by the square root of two."""
    return np.asarray(gaussian_filter(image, [each / np.sqrt(2) for each in psf_px]))


def _loop(grey: NDArray[np.uint8], times_s: NDArray[np.float64]) -> Loop:
    return Loop(
        contrast=grey,
        bmode=None,
        times_s=times_s,
        spacing_mm=(SPACING_MM, SPACING_MM),
        graphics=np.zeros(grey.shape[1:], np.bool_),
        dynamic_range_db=RANGE_DB,
        dynamic_range_source="tag",
    )


def _regions(lesion: NDArray[np.bool_]) -> Regions:
    away_mm = distance_transform_edt(~lesion) * SPACING_MM
    tissue = (away_mm > TISSUE_MM[0]) & (away_mm < TISSUE_MM[1])
    return Regions(lesion=lesion, ring=np.zeros_like(lesion), tissue=tissue)
