"""The breast under the probe: lesion outline, layers and their echogenicity on the tissue grid."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter, gaussian_filter1d

from dicomnode.simulation.habitats import smooth_field
from dicomnode.simulation.recipe import Geometry, LesionPlan

__all__ = ["FAT", "GLAND", "MUSCLE", "VESSEL", "Anatomy", "Grid", "build", "posterior"]

FAT, GLAND, MUSCLE, VESSEL = 6, 7, 8, 9

BMODE_RANGE_DB = 60.0
SKIN_MM = 1.6

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Grid:
    """The tissue grid: the pane and a margin around it that motion may bring into view."""

    rows: int
    columns: int
    spacing_mm: float
    margin: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns with the margin."""
        return self.rows + 2 * self.margin, self.columns + 2 * self.margin

    def position_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Depth and lateral position of every row and column; 0 is the pane's first."""
        depth = (np.arange(self.shape[0], dtype=np.float64) - self.margin) * self.spacing_mm
        lateral = (np.arange(self.shape[1], dtype=np.float64) - self.margin) * self.spacing_mm
        return depth, lateral

    def crop(self, image: NDArray[T]) -> NDArray[T]:
        """The pane's part of a picture on the grid."""
        m = self.margin
        return np.ascontiguousarray(image[m : m + self.rows, m : m + self.columns])


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """What the probe sees, on the tissue grid.

    Attributes
    ----------
    lesion : ndarray of bool
        The lesion as its edge shows on B-mode.
    tissue : ndarray of uint8
        Tissue number around it: FAT, GLAND or MUSCLE.
    echogenicity_db : ndarray of float32
        B-mode echo level against the gland.
    reflector_db : ndarray of float32
        Strong specular reflectors (skin, fascia) that leak into the contrast pane, 0 the strongest.
    """

    lesion: NDArray[np.bool_]
    tissue: NDArray[np.uint8]
    echogenicity_db: NDArray[np.float32]
    reflector_db: NDArray[np.float32]


def build(
    rng: np.random.Generator, grid: Grid, plan: LesionPlan, geometry: Geometry | None
) -> Anatomy:
    """Draw the anatomy, or take lesion and B-mode background from a real picture.

    Simplified: with a picture, the layers of tissue and the reflectors that leak into the contrast
    pane are still drawn, so they do not follow the picture's own layers.
    """
    tissue, echo, reflector = _layers(rng, grid)
    if geometry is None:
        lesion = _outline(rng, grid, plan)
        echo = _with_lesion(rng, grid, plan, echo, lesion) + posterior(grid, plan, lesion)
    else:
        lesion, echo = _from_picture(grid, plan, geometry)
    return Anatomy(
        lesion=lesion,
        tissue=tissue,
        echogenicity_db=echo.astype(np.float32),
        reflector_db=np.where(lesion, reflector - 12.0, reflector).astype(np.float32),
    )


def _outline(rng: np.random.Generator, grid: Grid, plan: LesionPlan) -> NDArray[np.bool_]:
    """An oval bent by random harmonics, with spicules running out of it."""
    depth, lateral = grid.position_mm()
    height_mm, width_mm = grid.rows * grid.spacing_mm, grid.columns * grid.spacing_mm
    half = plan.size_mm / 2 * np.array([1 / plan.aspect, 1.0]) / max(1.0, 1 / plan.aspect)
    low = np.minimum(half[0] * 1.15 + 4.0, 0.5 * height_mm)
    centre_r = rng.uniform(low, max(height_mm - half[0] * 1.2 - 3.0, low + 0.1))
    centre_c = width_mm * rng.uniform(0.38, 0.62)
    dr, dc = depth[:, None] - centre_r, lateral[None, :] - centre_c
    tilt = rng.normal(0, 0.2)
    a = (dr * np.cos(tilt) - dc * np.sin(tilt)) / half[0]
    b = (dr * np.sin(tilt) + dc * np.cos(tilt)) / half[1]
    theta, radius = np.arctan2(a, b), np.hypot(a, b)
    limit = 1.0 + plan.irregularity * _harmonics(rng, theta, 2, 9)
    limit = limit + _spicules(rng, theta, plan.spicules)
    return np.asarray(radius < np.maximum(limit, 0.45))


def _harmonics(
    rng: np.random.Generator, theta: NDArray[np.float64], first: int, last: int
) -> NDArray[np.float64]:
    total = np.zeros_like(theta)
    for order in range(first, last):
        height, phase = rng.standard_normal() / np.sqrt(order), rng.uniform(0, 2 * np.pi)
        total += height * np.cos(order * theta + phase)
    return total


def _spicules(
    rng: np.random.Generator, theta: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    total = np.zeros_like(theta)
    for _ in range(count):
        away = np.angle(np.exp(1j * (theta - rng.uniform(0, 2 * np.pi))))
        total += rng.uniform(0.12, 0.4) * np.exp(-0.5 * (away / rng.uniform(0.05, 0.12)) ** 2)
    return total


def _interface(rng: np.random.Generator, grid: Grid, depth_mm: float) -> NDArray[np.float64]:
    """Depth in mm of a gently curved layer boundary at every column."""
    wave = gaussian_filter1d(rng.standard_normal(grid.shape[1]), 4.0 / grid.spacing_mm, mode="wrap")
    wave = wave / max(float(wave.std()), 1e-6)
    slope = rng.normal(0, 0.03) * (np.arange(grid.shape[1]) - grid.shape[1] / 2) * grid.spacing_mm
    return np.asarray(depth_mm + 0.05 * depth_mm * wave + slope)


def _layers(
    rng: np.random.Generator, grid: Grid
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Tissue numbers, echogenicity and reflectors of skin, fat, gland and pectoral muscle."""
    depth = grid.position_mm()[0][:, None]
    height_mm = grid.rows * grid.spacing_mm
    fat_end = _interface(rng, grid, rng.uniform(0.14, 0.30) * height_mm)
    gland_end = _interface(rng, grid, rng.uniform(0.82, 0.96) * height_mm)
    tissue = np.where(depth < fat_end, FAT, np.where(depth < gland_end, GLAND, MUSCLE))
    level = np.array([-9.0, 0.0, -5.0])[tissue - FAT]
    level = gaussian_filter(level, 0.3 / grid.spacing_mm)
    texture = np.array([2.0, 4.0, 2.5])[tissue - FAT]
    streaks = rng.standard_normal(grid.shape, dtype=np.float32)
    streaks = gaussian_filter(streaks, (0.35 / grid.spacing_mm, 1.8 / grid.spacing_mm))
    echo = level + texture * streaks / max(float(streaks.std()), 1e-6)
    lines = _reflectors(rng, grid, (fat_end, gland_end))
    reflector = 10 * np.log10(np.maximum(lines, 1e-6))
    echo = np.maximum(echo, np.where(lines > 0.003, reflector + 22.0, -99.0))
    return tissue.astype(np.uint8), echo, reflector


def _reflectors(
    rng: np.random.Generator, grid: Grid, ends: tuple[NDArray[np.float64], ...]
) -> NDArray[np.float64]:
    """Power of specular lines, 1 the strongest: probe face and skin, fascia, ligaments."""
    depth = grid.position_mm()[0][:, None]
    lines = np.exp(-0.5 * ((depth - 0.35) / 0.22) ** 2)
    skin = _interface(rng, grid, SKIN_MM)
    lines = lines + 0.5 * np.exp(-0.5 * ((depth - skin) / 0.14) ** 2)
    lines = np.where(depth < 0, 0.0, lines)
    for end in ends:
        lines = lines + _broken_line(rng, grid, depth, end, 0.12)
    for _ in range(int(rng.integers(4, 11))):
        at = _interface(rng, grid, rng.uniform(0.12, 0.98) * grid.rows * grid.spacing_mm)
        tilt = rng.normal(0, 0.10) * np.arange(-(grid.shape[1] // 2), (grid.shape[1] + 1) // 2)
        lines = lines + _broken_line(rng, grid, depth, at + tilt * grid.spacing_mm, 0.05)
    return np.asarray(lines)


def _broken_line(
    rng: np.random.Generator,
    grid: Grid,
    depth: NDArray[np.float64],
    at: NDArray[np.float64],
    power: float,
) -> NDArray[np.float64]:
    """A reflecting line that shows only where it faces the probe."""
    faces = gaussian_filter1d(
        rng.standard_normal(grid.shape[1]), 2.0 / grid.spacing_mm, mode="wrap"
    )
    faces = np.clip(faces / max(float(faces.std()), 1e-6) - 0.3, 0.0, 2.0) ** 2
    return np.asarray(power * faces * np.exp(-0.5 * ((depth - at) / 0.16) ** 2))


def _with_lesion(
    rng: np.random.Generator,
    grid: Grid,
    plan: LesionPlan,
    echo: NDArray[np.float64],
    lesion: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Put the lesion into the echogenicity, with an edge as blurred as a real one."""
    inside = plan.contrast_db + 1.5 * smooth_field(rng, grid.shape, 0.8 / grid.spacing_mm)
    cover = gaussian_filter(lesion.astype(np.float64), 0.15 / grid.spacing_mm)
    return np.asarray(echo * (1 - cover) + inside * cover)


def posterior(grid: Grid, plan: LesionPlan, lesion: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shadow or enhancement below the lesion, fading sideways."""
    above = np.cumsum(lesion, axis=0) * grid.spacing_mm
    behind = np.where(lesion, 0.0, np.minimum(above / 6.0, 1.0))
    return np.asarray(plan.posterior_db * gaussian_filter(behind, 0.5 / grid.spacing_mm))


def _from_picture(
    grid: Grid, plan: LesionPlan, geometry: Geometry
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Scale a real picture so that its lesion has the planned size and lies within the pane."""
    rows, columns = np.nonzero(geometry.mask)
    extent = max(np.ptp(rows) + 1, np.ptp(columns) + 1)
    pane_px = min(grid.rows, grid.columns) * 0.75
    scale = extent / min(plan.size_mm / grid.spacing_mm, pane_px)
    middle = np.array([rows.mean(), columns.mean()])
    centre = np.array([grid.margin + 0.5 * grid.rows, grid.margin + 0.5 * grid.columns])
    offset = middle - scale * centre
    power = 10 ** (geometry.image.astype(np.float64) * (BMODE_RANGE_DB / 2550.0))
    smooth = gaussian_filter(power, max(scale, 1.5))
    placed = affine_transform(
        smooth, [scale, scale], offset, output_shape=grid.shape, order=1, mode="reflect"
    )
    mask = affine_transform(
        geometry.mask.astype(np.float64), [scale, scale], offset, output_shape=grid.shape, order=1
    )
    echo = 10 * np.log10(np.maximum(placed, 1.0))
    return np.asarray(mask >= 0.5), np.asarray(echo - np.median(echo))
