"""The key frame: the contrast frame with outline and sub-regions, large, with its legend."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicomnode.report.paint import banner, layer, outline
from dicomnode.science.findings import Findings

__all__ = ["keyframe"]

HEIGHT_PX = 900
GAP_PX = 12

Picture = NDArray[np.uint8]


def keyframe(findings: Findings) -> Picture:
    """Render the reference frame plain and painted side by side, (H, W, 3), pixels square."""
    plain = np.repeat(findings.contrast_image[..., None], 3, axis=2)
    painted = _over(_over(plain, layer(findings)), outline(findings.lesion_mask))
    left, right = (_enlarged(picture, findings.spacing_mm) for picture in (plain, painted))
    gap = np.zeros((left.shape[0], GAP_PX, 3), np.uint8)
    both = np.concatenate([left, gap, right], axis=1)
    return np.concatenate([both, banner(findings, both.shape[1])])


def _over(below: Picture, part: NDArray[np.float32]) -> Picture:
    blended = below * (1 - part[..., 3:]) + 255 * part[..., :3]
    return (blended + 0.5).astype(np.uint8)


def _enlarged(picture: Picture, spacing_mm: tuple[float, float]) -> Picture:
    """Resample to square pixels and a height that reads well on a workstation."""
    rows, columns = picture.shape[:2]
    width = round(HEIGHT_PX * columns * spacing_mm[1] / (rows * spacing_mm[0]))
    return np.asarray(Image.fromarray(picture).resize((width, HEIGHT_PX), Image.Resampling.BICUBIC))
