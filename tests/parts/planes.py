"""Pictures as the planes that an overlay is encoded from."""

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.results.overlay import Planes

__all__ = ["as_planes"]


def as_planes(picture: NDArray[np.uint8]) -> Planes:
    """Luma and chroma of a picture (R, C, 3) of YCbCr; of two pixels side by side, the first's."""
    chroma = np.moveaxis(picture[:, ::2, 1:], -1, 0)
    return np.ascontiguousarray(picture[..., 0]), np.ascontiguousarray(chroma)
