"""Texture of a map: how its values follow one another from place to place.

From grey level co-occurrence matrices (GLCM) as the Image Biomarker Standardisation Initiative
defines them (Zwanenburg et al., Radiology 2020;295:328, doi:10.1148/radiol.2020191145): of one
slice, symmetric, each of the four directions by itself and then averaged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "Texture", "co_occurrence", "described", "discretised", "texture"]

Mask = NDArray[np.bool_]
Levels = NDArray[np.intp]
Floats = NDArray[np.float64]

LEVELS = 16
"""Bins that the range of values is divided into (IBSI: fixed bin number)."""
_OUTLYING = 3.0
"""Values beyond so many standard deviations from the mean are taken for those at the limit."""
_STEP_MM = 0.6
"""Distance of the places compared: beyond the grain of speckle, within a sub-region."""
_DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))


@dataclass(frozen=True, kw_only=True)
class Texture:
    """Features of a GLCM with their codes in IBSI's reference manual.

    Attributes
    ----------
    contrast : float
        ACUI: mean square of the difference between neighbours, in bins.
    correlation : float
        NI2N: −1 to 1; 1 where all is level, too.
    entropy : float
        TU9B, joint entropy: bits.
    """

    contrast: float
    correlation: float
    entropy: float


def texture(
    values: NDArray[np.floating], mask: Mask, spacing_mm: tuple[float, float]
) -> Texture | None:
    """Describe the values (R, C) within a mask (R, C); None where no two places can be compared."""
    known = mask & np.isfinite(values)
    if not known.any():
        return None
    levels = np.where(known, discretised(np.asarray(values, np.float64), known), -1)
    steps = [max(1, round(_STEP_MM / each)) for each in spacing_mm]
    matrices = list(co_occurrence(levels, LEVELS, (steps[0], steps[1])))
    return described(matrices) if matrices else None


def discretised(values: Floats, mask: Mask) -> Levels:
    """Number (R, C) of the bin, from 0, that each value lies in; equal bins over the mask's range.

    The range ends three standard deviations from the mean at the latest.
    """
    inside = values[mask]
    mean, reach = float(inside.mean()), _OUTLYING * float(inside.std())
    low, high = max(float(inside.min()), mean - reach), min(float(inside.max()), mean + reach)
    share = (np.where(mask, values, low) - low) / max(high - low, 1e-12)
    return np.asarray(np.clip(np.floor(LEVELS * share), 0, LEVELS - 1), np.intp)


def co_occurrence(levels: Levels, count: int, step: tuple[int, int] = (1, 1)) -> Iterator[Floats]:
    """Give the symmetric matrix (count, count), of sum 1, of every direction that has neighbours.

    Parameters
    ----------
    levels : ndarray of int, shape (R, C)
        0 to ``count - 1``; negative where nothing is known.
    step : (int, int)
        Rows and columns from a place to its neighbours.
    """
    for down, along in _DIRECTIONS:
        rows, columns = down * step[0], along * step[1]
        one = levels[: levels.shape[0] - rows, max(-columns, 0) : levels.shape[1] - max(columns, 0)]
        other = levels[rows:, max(columns, 0) : levels.shape[1] - max(-columns, 0)]
        both = (one >= 0) & (other >= 0)
        if both.any():
            pairs = np.bincount(count * one[both] + other[both], minlength=count * count)
            matrix = pairs.reshape(count, count).astype(np.float64)
            yield (matrix + matrix.T) / (2 * matrix.sum())


def described(matrices: Sequence[Floats]) -> Texture:
    """Describe each matrix, at least one, and take the means."""
    found = np.mean([_features(matrix) for matrix in matrices], axis=0)
    return Texture(contrast=float(found[0]), correlation=float(found[1]), entropy=float(found[2]))


def _features(matrix: Floats) -> tuple[float, float, float]:
    level = np.arange(len(matrix))
    margin = matrix.sum(axis=1)
    mean = float(margin @ level)
    variance = float(margin @ (level - mean) ** 2)
    off = level - mean
    present = matrix[matrix > 0]
    return (
        float((matrix * np.subtract.outer(level, level) ** 2).sum()),
        float(off @ matrix @ off) / variance if variance > 0 else 1.0,
        float(-(present * np.log2(present)).sum()),
    )
