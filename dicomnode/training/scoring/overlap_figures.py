"""Overlap of a segmenter's answers with the lesions of many images, as figures for its card."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.inference.figures import Figure
from dicomnode.inference.segment import PRESENT, Segmentation
from dicomnode.training.scoring.overlap import Overlap, hausdorff_95, overlap
from dicomnode.training.scoring.statistics import mean_figure

__all__ = ["REPORTED", "Row", "judged", "overlap_figures", "overlaps"]

Row = dict[str, Any]
"""What is kept of one image, in values that JSON knows."""

REPORTED = "share of lesions for which a lesion is reported"
"""Of images with a lesion: at what probability one is reported is the bundle's."""

WORDS = {
    "dice": "mean Dice",
    "iou": "mean IoU of the lesion",
    "mean_iou": "mean IoU of lesion and background",
    "pixel_accuracy": "mean pixel accuracy",
    "precision": "mean precision, pixel by pixel",
    "recall": "mean recall, pixel by pixel",
}


def judged(
    found: Segmentation, truth: NDArray[np.bool_], spacing: tuple[float, float] = (1.0, 1.0)
) -> Row:
    """Compare an answer with the true lesion (R, C); distances are in the unit of ``spacing``."""
    likely = found.probability >= PRESENT
    return {
        "lesion_probability": found.lesion_probability,
        "reported": bool(found.mask.any()),
        "hausdorff_95": hausdorff_95(likely, truth, spacing),
        "overlap": vars(overlap(likely, truth)),
        "region_overlap": vars(overlap(found.mask, truth)),
    }


def overlaps(rows: Sequence[Row], name: str, which: str = "overlap") -> list[float]:
    """One of :data:`WORDS` of every image."""
    return [getattr(Overlap(**row[which]), name) for row in rows]


def overlap_figures(rows: Sequence[Row], conditions: str, unit: str) -> Iterator[Figure]:
    """Figures on images that have a lesion; ``unit`` is that of the distances."""
    dices = overlaps(rows, "dice")
    means = {word: overlaps(rows, name) for name, word in WORDS.items()} | {
        f"mean Hausdorff distance, 95th percentile, {unit}": [row["hausdorff_95"] for row in rows],
        "mean Dice of the one region that is reported": overlaps(rows, "dice", "region_overlap"),
    }
    for name, values in means.items():
        yield mean_figure(name, values, conditions)
    median = float(np.median(dices))
    yield Figure(name="median Dice", value=median, conditions=conditions, count=len(rows))
