"""Training samples for the segmenter: summary images and lesion masks on a small square grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["CHANNELS", "STORED", "Origin", "Sample", "split_by_group"]

CHANNELS = ("bmode", "contrast_max", "contrast_mean", "arrival", "contrast_start")
"""The network's input channels, in order; names are those of ``science.loop.summary_images``."""

STORED = 192
"""Rows and columns at which samples are kept; the pane is stretched to a square."""

Origin = Literal["busi", "simulated", "site"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image with its lesion.

    Attributes
    ----------
    images : ndarray of float16, shape (channels, STORED, STORED)
        Zero where a channel is missing.
    mask : ndarray of bool, shape (STORED, STORED)
    present : tuple of bool
        Which channels are there.
    aspect : float
        Height over width of the pane before it was stretched.
    group : str
        What must not be split between training and validation.
    """

    images: NDArray[np.float16]
    mask: NDArray[np.bool_]
    present: tuple[bool, ...]
    aspect: float
    group: str
    origin: Origin

    @classmethod
    def of(
        cls,
        images: Mapping[str, NDArray[np.float32]],
        mask: NDArray[np.bool_],
        *,
        group: str,
        origin: Origin,
        spacing_mm: tuple[float, float] = (1.0, 1.0),
    ) -> Self:
        """Stretch the known channels and the mask to the stored size.

        The spacing of rows and columns tells the aspect; pixels are taken as square without it.
        """
        stored = np.zeros((len(CHANNELS), STORED, STORED), np.float16)
        for index, channel in enumerate(CHANNELS):
            if channel in images:
                stored[index] = _stretch(images[channel])
        return cls(
            images=stored,
            mask=_stretch(mask.astype(np.float32)) >= 0.5,
            present=tuple(channel in images for channel in CHANNELS),
            aspect=mask.shape[0] * spacing_mm[0] / (mask.shape[1] * spacing_mm[1]),
            group=group,
            origin=origin,
        )


def _stretch(image: NDArray[np.float32]) -> NDArray[np.float32]:
    picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
    return np.asarray(picture.resize((STORED, STORED), Image.Resampling.BILINEAR))


def split_by_group(groups: Sequence[str], *, folds: int, fold: int, seed: int) -> NDArray[np.bool_]:
    """Tell which of N samples are held out in one of ``folds`` folds, counted from 0.

    Samples of one group are held out together; over all folds each is held out once.
    """
    different = sorted(set(groups))
    shuffled = np.random.default_rng(seed).permutation(np.array(different))
    held_out = set(shuffled[fold::folds].tolist())
    return np.array([group in held_out for group in groups], np.bool_)
