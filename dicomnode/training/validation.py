"""What the segmenter reaches on lesions it has not seen: the figures on its card."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dicomnode.inference.bundle import Figure
from dicomnode.inference.segment import PRESENT, SMALLEST_PX
from dicomnode.training.augment import plain
from dicomnode.training.network import UNet
from dicomnode.training.samples import Sample
from dicomnode.training.scores import auc, dice

__all__ = ["dices", "figures_of"]


def _probabilities(network: UNet, samples: Sequence[Sample], size: int) -> NDArray[np.float32]:
    network.eval()
    with torch.inference_mode():
        parts = [
            network(plain(samples[start : start + 16], size).images)[:, 0].sigmoid()
            for start in range(0, len(samples), 16)
        ]
    return np.concatenate([part.numpy() for part in parts])


def dices(network: UNet, samples: Sequence[Sample], size: int) -> list[float]:
    """Dice of every sample that has a lesion."""
    with_lesion = [sample for sample in samples if sample.mask.any()]
    found = _probabilities(network, with_lesion, size) >= 0.5
    truth = plain(with_lesion, size).mask.numpy() > 0
    return [dice(f, t) for f, t in zip(found, truth, strict=True)]


def _lesion_or_not(network: UNet, samples: Sequence[Sample], size: int, where: str) -> list[Figure]:
    """How well the most likely pixels tell images with a lesion from those without."""
    has_lesion = np.array([sample.mask.any() for sample in samples])
    if min(has_lesion.sum(), (~has_lesion).sum()) < 2:
        return []
    flat = _probabilities(network, samples, size).reshape(len(samples), -1).astype(np.float64)
    score = np.sort(flat, axis=1)[:, -SMALLEST_PX:].mean(axis=1)
    found = score >= PRESENT
    rows = (
        ("AUC lesion against normal", auc(score, has_lesion).value),
        ("share of lesions for which a lesion is reported", found[has_lesion].mean()),
        ("share of normal images for which none is reported", (~found[~has_lesion]).mean()),
    )
    conditions = f"{has_lesion.sum()} with and {(~has_lesion).sum()} without a lesion, {where}"
    return [
        Figure(name=name, value=round(float(value), 4), conditions=conditions)
        for name, value in rows
    ]


def figures_of(
    network: UNet, busi: Sequence[Sample], exams: Sequence[Sample], size: int
) -> tuple[Figure, ...]:
    """All figures for the manifest; a cohort that is empty has none."""
    figures = []
    if busi:
        found = dices(network, busi, size)
        where = "BUSI development images held out by near-duplicate group, B-mode channel only"
        conditions = f"{len(found)} lesions, {where}, {size}x{size}, threshold 0.5"
        figures += [
            Figure(name="mean Dice", value=round(np.mean(found), 4), conditions=conditions),
            Figure(name="median Dice", value=round(np.median(found), 4), conditions=conditions),
        ]
        figures += _lesion_or_not(network, busi, size, where)
    if exams:
        found = dices(network, exams, size)
        conditions = f"{len(found)} simulated exams of other seeds, preset small, all channels"
        figures.append(
            Figure(name="mean Dice", value=round(np.mean(found), 4), conditions=conditions)
        )
    return tuple(figures)
