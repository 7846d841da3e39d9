"""Samples that are not what their labels say, as the picture itself shows."""

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.dicom.exam.layout import BRIGHT, COLOURED
from dicomnode.dicom.header import Header
from dicomnode.errors import Reason

__all__ = ["in_all_colours", "planes_apart"]

U8 = NDArray[np.uint8]

MOST_COLOURED = 0.6
"""Share of an image that colour Doppler or elastography fills at most."""
SAME_PICTURE = 0.5
"""Correlation of two planes of one picture; of two parts of a picture it is near 0."""
CODE = "contradicting-photometric"


def in_all_colours(elements: Elements, sample: U8) -> Reason | None:
    """Of samples that are not what they are labelled even what is black has a colour."""
    value = sample.max(axis=-1).astype(np.int16)
    chroma = value - sample.min(axis=-1)
    share = float(np.mean((value > BRIGHT) & (chroma > COLOURED * value)))
    if share <= MOST_COLOURED:
        return None
    label = elements.text("PhotometricInterpretation")
    expected = f"{label} samples in the order that {tag_text('PlanarConfiguration')} states"
    found = f"{share:.0%} of all pixels in several hues, as of samples of another kind or order"
    return elements.wrong("PhotometricInterpretation", expected, found, CODE).reason


def planes_apart(header: Header, sample: U8) -> Reason | None:
    """Uncompressed red, green and blue that are said to alternate, and come one after the other.

    Read so, a third of a picture is above the next: smooth ones have no colour that tells. But what
    changes from frame to frame is then the same in the first third and the second.
    """
    elements = header.elements
    if header.transfer_syntax.is_encapsulated or len(sample) < 2:
        return None
    if elements.text("PhotometricInterpretation") != "RGB":
        return None
    if elements.whole("PlanarConfiguration", 0, 1) == 1:
        return None
    changes = np.diff(sample.reshape(len(sample), 3, -1)[:, :2].astype(np.int16), axis=0)
    red, green = np.moveaxis(changes[..., 3:] - changes[..., :-3], 1, 0).astype(np.float32)
    size = float(np.linalg.norm(red)) * float(np.linalg.norm(green))
    if float(np.vdot(red, green)) <= SAME_PICTURE * max(size, 1.0):
        return None
    expected = "1: the first third of each frame's samples shows what the second does"
    return elements.wrong("PlanarConfiguration", expected, 0, CODE).reason
