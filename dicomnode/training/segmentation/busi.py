"""Real B-mode images with lesion masks: BUSI (Al-Dhabyani 2020, doi:10.1016/j.dib.2019.104863).

The images stay where they are: nothing of them is written into a bundle.
"""

import csv
import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from dicomnode.simulation.recipe import Geometry, Kind
from dicomnode.training.segmentation.samples import Sample
from dicomnode.training.segmentation.simulated import Pictures

__all__ = ["BusiImage", "busi_images", "lesion_pictures"]


@dataclass(frozen=True, kw_only=True)
class BusiImage:
    """One image as published.

    Attributes
    ----------
    name : str
        Path below the data set's folder.
    label : str
        "benign", "malignant" or "normal".
    grey : ndarray of float32, shape (R, C)
        0 to 1.
    mask : ndarray of bool, shape (R, C)
        All lesions together; empty in a normal image.
    group : str
        Shared by near-duplicates, which may be of one patient.
    """

    name: str
    label: str
    grey: NDArray[np.float32]
    mask: NDArray[np.bool_]
    group: str

    @property
    def sample(self) -> Sample:
        """As the network learns from it: a B-mode channel only."""
        return Sample.of({"bmode": self.grey}, self.mask, group=self.group, origin="busi")


def lesion_pictures(images: Sequence[BusiImage]) -> Pictures:
    """Lesions to build simulated exams on: of each kind the images with a single one."""
    kinds: tuple[Kind, Kind] = ("malignant", "benign")
    return {
        kind: [
            Geometry(image=np.rint(255 * image.grey).astype(np.uint8), mask=image.mask)
            for image in images
            if image.label == kind and ndimage.label(image.mask)[1] == 1
        ]
        for kind in kinds
    }


def busi_images(directory: Path) -> list[BusiImage]:
    """Read the development images; those whose near-duplicate has another label are left out."""
    with (directory / "manifest.csv").open(newline="", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if _usable(row)]
    return [_image(directory, row) for row in rows]


def _usable(row: dict[str, str]) -> bool:
    return row["split"] == "dev" and row["cross_class_dup"] == "0"


def _image(directory: Path, row: dict[str, str]) -> BusiImage:
    path = directory / row["image"]
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L"), np.float32) / np.float32(255)
    return BusiImage(
        name=row["image"],
        label=row["label"],
        grey=grey,
        mask=_mask(path, grey.shape),
        group=f"busi-{row['dup_group']}",
    )


def _mask(image: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """All masks of an image together; some lesions have several."""
    together = np.zeros(shape, np.bool_)
    folder = image.parent.parent / "mask"
    for path in folder.glob(f"{glob.escape(image.stem)}_mask*.png"):
        with Image.open(path) as mask:
            together |= np.asarray(mask.convert("L").resize((shape[1], shape[0]))) > 0
    return together
