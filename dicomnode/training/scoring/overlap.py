"""Overlap of a found mask with the true one, in the words of the segmentation literature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Overlap", "hausdorff_95", "overlap"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Of one image; shares are 0 to 1.

    Attributes
    ----------
    true_positive, false_positive, false_negative, true_negative : int
        Pixels: the confusion matrix.
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN); 1 where both masks are empty."""
        return _share(2 * self.true_positive, self.false_positive + self.false_negative)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN), the lesion's; 1 where both masks are empty."""
        return _share(self.true_positive, self.false_positive + self.false_negative)

    @property
    def mean_iou(self) -> float:
        """Mean of the lesion's and of the background's intersection over union."""
        background = _share(self.true_negative, self.false_positive + self.false_negative)
        return (self.iou + background) / 2

    @property
    def pixel_accuracy(self) -> float:
        """(TP + TN) / all."""
        return _share(self.true_positive + self.true_negative, self._wrong)

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 1 where nothing was found."""
        return _share(self.true_positive, self.false_positive)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); 1 where there was nothing to find."""
        return _share(self.true_positive, self.false_negative)

    @property
    def _wrong(self) -> int:
        return self.false_positive + self.false_negative


def overlap(found: Mask, truth: Mask) -> Overlap:
    """Compare two masks (R, C) of one image."""
    if found.shape != truth.shape:
        raise ValueError(f"found: expected shape {truth.shape} as the truth, got {found.shape}")
    return Overlap(
        true_positive=int(np.count_nonzero(found & truth)),
        false_positive=int(np.count_nonzero(found & ~truth)),
        false_negative=int(np.count_nonzero(~found & truth)),
        true_negative=int(np.count_nonzero(~found & ~truth)),
    )


def _share(right: int, wrong: int) -> float:
    return right / (right + wrong) if right + wrong else 1.0


def hausdorff_95(found: Mask, truth: Mask, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """95th percentile of the distances between two outlines, both ways.

    In the unit of the ``spacing`` of rows and columns; the image's diagonal where only one of the
    masks is empty, 0 where both are.
    """
    if not found.any() and not truth.any():
        return 0.0
    if not found.any() or not truth.any():
        return float(np.hypot(found.shape[0] * spacing[0], found.shape[1] * spacing[1]))
    ours, theirs = _outline(found), _outline(truth)
    distances = [
        ndimage.distance_transform_edt(~there, sampling=spacing)[here]
        for here, there in ((ours, theirs), (theirs, ours))
    ]
    return float(np.percentile(np.concatenate(distances), 95))


def _outline(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask, border_value=0))
