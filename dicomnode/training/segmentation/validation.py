"""Validation of the segmenter on simulated exams it has not seen."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dicomnode.inference.figures import Figure
from dicomnode.training.scoring.overlap import overlap
from dicomnode.training.scoring.statistics import mean_figure
from dicomnode.training.segmentation.augment import plain
from dicomnode.training.segmentation.network import UNet
from dicomnode.training.segmentation.samples import Sample
from dicomnode.training.segmentation.stack import Stack

__all__ = ["dices", "exam_figures"]


def _probabilities(network: UNet, samples: Sequence[Sample], size: int) -> NDArray[np.float32]:
    network.eval()
    with torch.inference_mode():
        parts = [
            network(plain(Stack.of(samples[start : start + 16]), size).images)[:, 0].sigmoid()
            for start in range(0, len(samples), 16)
        ]
    return np.concatenate([part.numpy() for part in parts])


def dices(network: UNet, samples: Sequence[Sample], size: int) -> list[float]:
    """Dice of every sample that has a lesion."""
    with_lesion = [sample for sample in samples if sample.mask.any()]
    found = _probabilities(network, with_lesion, size) >= 0.5
    truth = plain(Stack.of(with_lesion), size).mask.numpy() > 0
    return [overlap(f, t).dice for f, t in zip(found, truth, strict=True)]


def exam_figures(network: UNet, exams: Sequence[Sample], size: int) -> tuple[Figure, ...]:
    """Figures on simulated exams for the manifest; none without exams."""
    if not exams:
        return ()
    found = dices(network, exams, size)
    conditions = f"{len(found)} simulated exams of other seeds, preset small, all channels"
    return (mean_figure("mean Dice", found, conditions),)
