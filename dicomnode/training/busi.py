"""Real B-mode images with lesion masks: BUSI (Al-Dhabyani 2020, doi:10.1016/j.dib.2019.104863).

The images stay where they are: nothing of them is written into a bundle.
"""

import csv
import glob
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicomnode.training.samples import Sample

__all__ = ["read_busi"]


def read_busi(directory: Path) -> list[Sample]:
    """Read the development images as samples with a B-mode channel only.

    Images whose near-duplicate carries another label are left out. A sample's group is its
    near-duplicate group, so that a split by group never has the same patient on both sides.
    """
    with (directory / "manifest.csv").open(newline="", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if _usable(row)]
    return list(_samples(directory, rows))


def _usable(row: dict[str, str]) -> bool:
    return row["split"] == "dev" and row["cross_class_dup"] == "0"


def _samples(directory: Path, rows: list[dict[str, str]]) -> Iterator[Sample]:
    for row in rows:
        path = directory / row["image"]
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L"), np.float32) / np.float32(255)
        yield Sample.of(
            {"bmode": grey},
            _mask(path, grey.shape),
            group=f"busi-{row['dup_group']}",
            origin="busi",
        )


def _mask(image: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """All masks of an image together; some lesions have several."""
    together = np.zeros(shape, np.bool_)
    folder = image.parent.parent / "mask"
    for path in folder.glob(f"{glob.escape(image.stem)}_mask*.png"):
        with Image.open(path) as mask:
            together |= np.asarray(mask.convert("L").resize((shape[1], shape[0]))) > 0
    return together
