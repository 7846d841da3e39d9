"""One injection as arrays: a contrast loop, its B-mode loop and their clock; grey to echo power."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Loop"]


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The panes of one injection on one clock.

    Attributes
    ----------
    contrast : ndarray of uint8, shape (T, R, C)
        Contrast pane as log-compressed grey level; any colour map is already undone.
    bmode : ndarray of uint8, shape (T, R, C), or None
        B-mode pane in the same pixel coordinates, or None for a single-pane exam.
    times_s : ndarray of float64, shape (T,)
        Strictly increasing seconds from the first frame; gaps between clips are kept.
    spacing_mm : (float, float)
        Row and column spacing in millimetres.
    graphics : ndarray of bool, shape (R, C)
        Burned-in graphics, text and colour bars: never measured.
    dynamic_range_db : float
        Log-compression range; grey 255 is this many decibels above grey 0.
    dynamic_range_source : str
        Where it came from: "tag", "vendor", "settings" or "default".
    """

    contrast: NDArray[np.uint8]
    bmode: NDArray[np.uint8] | None
    times_s: NDArray[np.float64]
    spacing_mm: tuple[float, float]
    graphics: NDArray[np.bool_]
    dynamic_range_db: float = 60.0
    dynamic_range_source: str = "default"
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        frames, rows, columns = self.contrast.shape
        if self.contrast.dtype != np.uint8:
            raise ValueError(f"contrast: expected uint8 grey levels, got {self.contrast.dtype}")
        if self.bmode is not None and self.bmode.shape != self.contrast.shape:
            raise ValueError(
                f"bmode: expected shape {self.contrast.shape} as contrast, got {self.bmode.shape}"
            )
        if self.graphics.shape != (rows, columns):
            raise ValueError(
                f"graphics: expected shape {(rows, columns)}, got {self.graphics.shape}"
            )
        if self.times_s.shape != (frames,):
            raise ValueError(
                f"times_s: expected {frames} seconds, one per frame, got shape {self.times_s.shape}"
            )
        if frames > 1 and not np.all(np.diff(self.times_s) > 0):
            raise ValueError("times_s: expected strictly increasing seconds")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the pane."""
        return self.contrast.shape[1], self.contrast.shape[2]

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel in square millimetres."""
        return self.spacing_mm[0] * self.spacing_mm[1]
