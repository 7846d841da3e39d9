"""Cross-validation of the segmenter on BUSI: every image is judged by a network that never saw it.

B-mode only, on the image's own pixels, through the same :class:`Segmenter` as in the node. Folds
are grouped by near-duplicate. Each is trained by itself, so that they may be trained side by side.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dicomnode.inference.bundle import load
from dicomnode.inference.figures import Figure
from dicomnode.inference.segment import Segmenter
from dicomnode.training.scoring.overlap_figures import (
    REPORTED,
    Row,
    judged,
    overlap_figures,
    overlaps,
)
from dicomnode.training.scoring.scores import auc
from dicomnode.training.scoring.statistics import mean_figure
from dicomnode.training.segmentation.busi import BusiImage, busi_images
from dicomnode.training.segmentation.learning import CONSOLE, Schedule, learn
from dicomnode.training.segmentation.network import UNet
from dicomnode.training.segmentation.samples import split_by_group

__all__ = ["FOLDS", "cross_validate", "fold_figures"]

FOLDS = 5
_SMALL, _LARGE = 0.03, 0.12
"""Shares of the image below which a lesion counts as small, and from which on as large."""

_LABELS = ("benign", "malignant")


def cross_validate(
    busi: Path, work: Path, schedule: Schedule, fold: int, bundle: Callable[[UNet, Path], Path]
) -> Path:
    """Train without one fold (1 to 5), judge that fold, and return the file with the scores.

    Parameters
    ----------
    busi, work : Path
        The images; where checkpoints and scores are kept.
    schedule : Schedule
    fold : int
    bundle : callable
        Writes a network's bundle into a folder.
    """
    images = busi_images(busi)
    groups = [image.group for image in images]
    held_out = split_by_group(groups, folds=FOLDS, fold=fold - 1, seed=schedule.seed)
    given = [image.sample for image, out in zip(images, held_out, strict=True) if not out]
    network = learn(given, schedule, work / f"fold-{fold}.pt")
    segmenter = Segmenter(load(bundle(network, work / f"fold-{fold}")))
    rows = [_judged(image, segmenter) for image, out in zip(images, held_out, strict=True) if out]
    document = {"schedule": _told(schedule), "rows": rows}
    _scores(work, fold).write_text(json.dumps(document, indent=1), encoding="utf-8")
    dice = np.mean(overlaps([row for row in rows if row["label"] != "normal"], "dice"))
    CONSOLE.print(f"fold {fold}: mean Dice {dice:.4f}")
    return _scores(work, fold)


def _scores(work: Path, fold: int) -> Path:
    return work / f"fold-{fold}.json"


def _judged(image: BusiImage, segmenter: Segmenter) -> Row:
    found = segmenter.segment({"bmode": image.grey}, (1.0, 1.0))
    return {
        "image": image.name,
        "label": image.label,
        "share": float(image.mask.mean()),
        **judged(found, image.mask),
    }


def _told(schedule: Schedule) -> str:
    """What the folds have in common; they may have learnt longer or shorter than the bundle."""
    return (
        f"networks that learnt from the other folds alone, without simulated exams, "
        f"{schedule.epochs} epochs, {schedule.size}x{schedule.size}, seed {schedule.seed}"
    )


def fold_figures(work: Path) -> tuple[Figure, ...]:
    """All figures of the folds; none unless every fold has been judged by the same schedule."""
    paths = [_scores(work, fold) for fold in range(1, FOLDS + 1)]
    if not all(path.exists() for path in paths):
        return ()
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    schedules = {document["schedule"] for document in documents}
    if len(schedules) > 1:
        CONSOLE.print(f"folds left out of the card, not of one schedule: {sorted(schedules)}")
        return ()
    rows = [row for document in documents for row in document["rows"]]
    return tuple(_figures(rows, schedules.pop()))


def _figures(rows: Sequence[Row], networks: str) -> Iterator[Figure]:
    where = (
        "BUSI, B-mode only, 5-fold over the development images grouped by near-duplicate; "
        f"{networks}"
    )
    lesions = [row for row in rows if row["label"] != "normal"]
    conditions = f"lesions of {where}"
    yield from overlap_figures(lesions, conditions, "px")
    for word, chosen in _parts(lesions).items():
        if chosen:
            yield mean_figure(f"mean Dice, {word}", overlaps(chosen, "dice"), conditions)
    yield from _confusion(lesions, conditions)
    yield from _lesion_or_not(rows, where)


def _parts(lesions: Sequence[Row]) -> dict[str, list[Row]]:
    """Lesions by class and by size."""
    parts = {label: [row for row in lesions if row["label"] == label] for label in _LABELS}
    parts[f"small, below {_SMALL:.0%} of the image"] = _between(lesions, 0, _SMALL)
    parts["of medium size"] = _between(lesions, _SMALL, _LARGE)
    parts[f"large, from {_LARGE:.0%} of the image on"] = _between(lesions, _LARGE, 2)
    return parts


def _between(lesions: Sequence[Row], low: float, high: float) -> list[Row]:
    return [row for row in lesions if low <= row["share"] < high]


def _confusion(lesions: Sequence[Row], conditions: str) -> Iterator[Figure]:
    """Confusion matrix over the pixels of all images together, as shares of them."""
    counts = {
        name: sum(row["overlap"][name] for row in lesions)
        for name in ("true_positive", "false_positive", "false_negative", "true_negative")
    }
    for name, count in counts.items():
        yield Figure(
            name=f"{name.replace('_', ' ')} pixels, share of all",
            value=count / sum(counts.values()), conditions=conditions, count=len(lesions),
        )  # fmt: skip


def _lesion_or_not(rows: Sequence[Row], where: str) -> Iterator[Figure]:
    """How well the lesion probability tells images with a lesion from those without."""
    has_lesion = np.array([row["label"] != "normal" for row in rows])
    score = np.array([row["lesion_probability"] for row in rows])
    if min(has_lesion.sum(), (~has_lesion).sum()) < 2:
        return
    found = np.array([row["reported"] for row in rows])
    named = {
        "AUC lesion against normal": auc(score, has_lesion).value,
        REPORTED: found[has_lesion].mean(),
        "share of normal images for which none is reported": (~found[~has_lesion]).mean(),
    }
    without = (~has_lesion).sum()
    conditions = f"{has_lesion.sum()} images with and {without} without a lesion of {where}"
    for name, value in named.items():
        yield Figure(name=name, value=float(value), conditions=conditions)
