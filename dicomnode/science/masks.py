"""Operations on masks, wherever they come from."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["box_around", "opened"]

Mask = NDArray[np.bool_]


def box_around(mask: Mask, margin: int = 0) -> tuple[slice, slice]:
    """Give the smallest rectangle that holds all of a mask, at least one pixel, and a margin."""
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    rows, columns = (slice(max(side.start - margin, 0), side.stop + margin) for side in box)
    return rows, columns


def opened(mask: Mask, radius_px: int) -> Mask:
    """Keep what discs of this radius reach within a mask (morphological opening), by distances.

    Beyond the edge of the image there is nothing.
    """
    inner = np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1)) > radius_px)[1:-1, 1:-1]
    if not inner.any():
        return inner
    return np.asarray(ndimage.distance_transform_edt(~inner) <= radius_px)
