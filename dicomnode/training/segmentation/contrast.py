"""Contrast summary images painted on real lesion masks, so that real shapes meet contrast.

Simplified on purpose: levels and textures are drawn at random in grey levels, no kinetics. The
simulated exams, whose summary images come from whole loops, carry the physics.
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["paint"]


def paint(bmode: Tensor, lesion: Tensor, generator: torch.Generator) -> Tensor:
    """Draw (N, 4, H, W) ``contrast_max, contrast_mean, arrival, contrast_start`` in 0..1.

    Parameters
    ----------
    bmode, lesion : Tensor, shape (N, H, W)
        B-mode in 0..1 and lesion mask in 0..1 on the same grid.
    """
    draw = _Draw(generator, lesion)
    level = _level(draw, lesion)
    leak = _static(draw, bmode)
    grain = draw.field(0.6, 1.8)
    strength = draw.between(0.04, 0.12)
    mean = level + 0.4 * strength * grain - draw.between(0.05, 0.15)
    brightest = level + strength * (grain + 0.5 * grain.square()) + draw.between(0.0, 0.15)
    start = draw.between(0.0, 0.1) + 0.05 * draw.field(0.6, 1.8)
    arrival = _arrival(draw, lesion, level)
    shown = [torch.maximum(image, leak) for image in (brightest, mean)]
    return torch.stack([*shown, arrival, torch.maximum(start, leak)], dim=1).clamp(0, 1)


class _Draw:
    """Random numbers and fields, one per image of the batch."""

    def __init__(self, generator: torch.Generator, like: Tensor) -> None:
        self._generator = generator
        self._shape = like.shape

    def between(self, low: float, high: float) -> Tensor:
        return low + (high - low) * self._uniform(self._shape[0], 1, 1)

    def normal(self, mean: float, sd: float) -> Tensor:
        return mean + sd * self._gaussian(self._shape[0], 1, 1)

    def coin(self, probability: float) -> Tensor:
        return (self.between(0, 1) < probability).float()

    def field(self, low_px: float, high_px: float) -> Tensor:
        """Correlated noise of unit variance, broader along the columns (laterally)."""
        noise = self._gaussian(*self._shape)
        sigma = low_px + (high_px - low_px) * float(self._uniform(1))
        smooth = blur(noise, sigma, 1.6 * sigma)
        return smooth / smooth.std(dim=(1, 2), keepdim=True).clamp_min(1e-6)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self._generator.device)

    def _gaussian(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, device=self._generator.device)


def blur(images: Tensor, sigma_rows: float, sigma_columns: float) -> Tensor:
    """Gaussian blur of (N, H, W)."""
    blurred = images[:, None]
    for axis, sigma in ((2, sigma_rows), (3, sigma_columns)):
        reach = max(1, int(3 * sigma))
        offsets = torch.arange(-reach, reach + 1, dtype=torch.float32, device=images.device)
        kernel = torch.exp(-0.5 * (offsets / max(sigma, 1e-3)) ** 2)
        kernel = kernel / kernel.sum()
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        padding = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        padded = functional.pad(blurred, padding, mode="replicate")
        blurred = functional.conv2d(padded, kernel.view(shape))
    return blurred[:, 0]


def _level(draw: _Draw, lesion: Tensor) -> Tensor:
    """Enhancement in grey: tissue, lesion above or below it, rim, cold core, growth beyond it."""
    tissue = draw.between(0.15, 0.5) + draw.between(0.02, 0.1) * draw.field(6, 14)
    soft = blur(lesion, 1.0, 1.0)
    grown = (blur(lesion, 2.5, 2.5) * draw.between(1.2, 2.2)).clamp(0, 1)
    extent = torch.lerp(soft, grown, draw.coin(0.4))
    inner = blur(lesion, 4.0, 4.0).square()
    cold = draw.coin(0.3) * draw.between(0.1, 0.5) * inner
    rim = draw.coin(0.25) * draw.between(0.05, 0.2) * (extent - inner).clamp_min(0)
    uneven = draw.between(0.0, 0.1) * draw.field(3, 6)
    return tissue + extent * (draw.normal(0.08, 0.15) + uneven) - cold + rim


def _static(draw: _Draw, bmode: Tensor) -> Tensor:
    """Skin line and bright interfaces that shine through contrast imaging all the time."""
    rows = torch.linspace(0, 1, bmode.shape[1], device=bmode.device)[None, :, None]
    skin = ((rows - draw.between(0.0, 0.08)).abs() < draw.between(0.005, 0.02)).float()
    bright = (bmode - draw.between(0.5, 0.9)).clamp_min(0) * draw.between(0.0, 1.5)
    return (draw.coin(0.6) * skin * draw.between(0.4, 0.9)).maximum(bright)


def _arrival(draw: _Draw, lesion: Tensor, level: Tensor) -> Tensor:
    early = draw.normal(-0.04, 0.06) * blur(lesion, 1.5, 1.5)
    noise = draw.between(0.02, 0.15) * draw.field(0.8, 2.0)
    arrival = draw.between(0.08, 0.4) + early + noise
    never = level + 0.1 * draw.field(0.6, 1.8) < draw.between(0.0, 0.2)
    return torch.where(never, torch.ones_like(arrival), arrival)
