"""Frames of a B-mode pane that show the plane of the others, by the grain of its speckle.

A breast that slips out of the plane keeps its layers for millimetres, and with them most of its
correlation; its speckle becomes another within about one. So the grain alone is correlated.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.motion.following import Fine

__all__ = ["grain_likeness", "in_plane"]

_GRAIN_MM = 1.0
"""Structure that is larger than this is not grain."""
_TEMPLATE_FRAMES = 40
_OTHER_PLANE = 0.45
"""Below this share of the usual likeness the plane is another."""
_TELLS = 0.3
"""Usual likeness from which on the grain tells anything: smoothed pictures have none."""
_MOST_LEFT_OUT = 0.3
"""At most this share is left out for its grain: a probe that drifts slowly still shows the lesion,
and no one plane of it is the right one."""


def grain_likeness(
    fine: Fine,
    shift_px: NDArray[np.float64],
    ncc: NDArray[np.float64],
    spacing_mm: tuple[float, float],
) -> NDArray[np.float64]:
    """Correlate the grain of every frame with that of the frames which resemble the others most.

    Parameters
    ----------
    fine : Fine
        The rectangle that is looked at.
    shift_px : ndarray of float64, shape (T, 2)
    ncc : ndarray of float64, shape (T,)
        Likeness of the whole pictures, which chooses the frames of the template.
    spacing_mm : (float, float)

    Returns
    -------
    ndarray of float64, shape (T,)
        -1 to 1; 0 for a frame without grain.
    """
    size = [2 * max(1, round(0.5 * _GRAIN_MM / spacing)) + 1 for spacing in spacing_mm]
    weight = fine.weight / max(float(fine.weight.sum()), 1e-9)
    best = np.argsort(-ncc, kind="stable")[:_TEMPLATE_FRAMES]
    template = _grain(fine.mean(best, shift_px), weight, size) * weight
    return np.array(
        [
            float((_grain(fine.moved(t, shift), weight, size) * template).sum())
            for t, shift in enumerate(shift_px)
        ]
    )


def in_plane(likeness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which frames (T,) show the usual plane, by their :func:`grain_likeness`."""
    usual = float(np.quantile(likeness, 0.75))
    if usual < _TELLS:
        return np.ones(likeness.shape, np.bool_)
    worst = float(np.quantile(likeness, _MOST_LEFT_OUT))
    return np.asarray(likeness >= min(_OTHER_PLANE * usual, worst))


def _grain(
    image: NDArray[np.float32], weight: NDArray[np.float32], size: list[int]
) -> NDArray[np.float32]:
    """Fine structure, brought to zero mean and unit variance."""
    fine = image - ndimage.uniform_filter(image, size, mode="nearest")
    fine -= np.float32((weight * fine).sum())
    spread = float((weight * fine * fine).sum()) ** 0.5
    grain: NDArray[np.float32] = fine / np.float32(max(spread, 1e-6))
    return grain
