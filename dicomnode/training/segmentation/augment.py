"""What a training batch may look like: other views, gains, textures and missing channels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dicomnode.training.segmentation.contrast import blur, paint
from dicomnode.training.segmentation.samples import Sample

__all__ = ["Batch", "as_input", "augmented", "plain"]

DROPS = (
    (0.35, (True, True, True, True, True)),
    (0.10, (True, True, True, True, False)),
    (0.40, (True, False, False, False, False)),
    (0.15, (False, True, True, True, True)),
)
"""Share of the batch's images and the channels they keep."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Network input (N, channels, H, W) and lesion mask (N, H, W)."""

    images: Tensor
    mask: Tensor


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Where each pixel of the network's image looks: -1..1 spans the pane, rows before columns."""

    where: Tensor
    """(N, size, size, 2)"""
    pane: Tensor
    """(N, size, size), 1 on the pane and 0 on the border around it."""


@dataclass(frozen=True, kw_only=True)
class _Views:
    """Sampled images in 0..1 before normalisation."""

    images: Tensor
    mask: Tensor
    pane: Tensor
    present: Tensor


def augmented(samples: Sequence[Sample], size: int, generator: torch.Generator) -> Batch:
    """Draw a random view of every sample, paint contrast where there is none, drop channels."""
    views = _sample(samples, _random_grid(samples, size, generator))
    images = _painted(views, generator)
    images = _weathered(images, generator)
    keep = _kept_channels(views.present, generator)
    return Batch(images=as_input(images, views.pane, keep), mask=views.mask)


def plain(samples: Sequence[Sample], size: int) -> Batch:
    """Letterbox the samples as they are."""
    views = _sample(samples, _plain_grid(samples, size))
    return Batch(images=as_input(views.images, views.pane, views.present), mask=views.mask)


def as_input(images: Tensor, pane: Tensor, keep: Tensor) -> Tensor:
    """Z-score every channel over the pane; zero outside it and where a channel is missing."""
    inside = pane[:, None]
    count = inside.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    mean = (images * inside).sum(dim=(2, 3), keepdim=True) / count
    centred = (images - mean) * inside
    sd = (centred.square().sum(dim=(2, 3), keepdim=True) / count).sqrt().clamp_min(1e-3)
    return centred / sd * keep[:, :, None, None]


def _canvas(count: int, size: int) -> tuple[Tensor, Tensor]:
    steps = (torch.arange(size) + 0.5) / size * 2 - 1
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    return rows[None].expand(count, -1, -1), columns[None].expand(count, -1, -1)


def _plain_grid(samples: Sequence[Sample], size: int) -> _Grid:
    where = torch.stack(_canvas(len(samples), size), dim=-1)
    where = where / _half_extent(samples)[:, None, None, :]
    return _Grid(where=where, pane=(where.abs() <= 1).all(dim=-1).float())


def _half_extent(samples: Sequence[Sample]) -> Tensor:
    extents = [(min(1.0, s.aspect), min(1.0, 1 / s.aspect)) for s in samples]
    return torch.tensor(extents, dtype=torch.float32)


def _random_grid(samples: Sequence[Sample], size: int, generator: torch.Generator) -> _Grid:
    """Mirror, turn, zoom, move and squeeze; beyond its edge the pane goes on as in a mirror."""
    count = len(samples)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, generator=generator)

    rows, columns = _canvas(count, size)
    aspect = between(-0.35, 0.35).exp()
    pane = (rows.abs() <= aspect.clamp_max(1)) & (columns.abs() <= (1 / aspect).clamp_max(1))
    zoom = between(-0.5, 0.45).exp()
    angle = between(-0.2, 0.2)
    stretch = between(-0.12, 0.12).exp()
    room = (1 - zoom).clamp_min(0) + 0.15
    flip = torch.where(between(0, 1) < 0.5, -1.0, 1.0)
    turned_rows = zoom * (rows * angle.cos() - columns * angle.sin()) * stretch
    turned_columns = zoom * (rows * angle.sin() + columns * angle.cos()) / stretch * flip
    where = torch.stack(
        [turned_rows + between(-1, 1) * room, turned_columns + between(-1, 1) * room], dim=-1
    )
    return _Grid(where=where / _half_extent(samples)[:, None, None, :], pane=pane.float())


def _sample(samples: Sequence[Sample], grid: _Grid) -> _Views:
    stored = torch.from_numpy(np.stack([s.images for s in samples]).astype(np.float32))
    masks = torch.from_numpy(np.stack([s.mask for s in samples])[:, None].astype(np.float32))
    both = functional.grid_sample(
        torch.cat([stored, masks], dim=1),
        grid.where.flip(-1),  # torch wants column, row
        padding_mode="reflection",
        align_corners=False,
    )
    return _Views(
        images=both[:, :-1],
        mask=(both[:, -1] >= 0.5).float() * grid.pane,
        pane=grid.pane,
        present=torch.tensor([s.present for s in samples], dtype=torch.float32),
    )


def _painted(views: _Views, generator: torch.Generator) -> Tensor:
    """Every channel of every image: simulated ones keep their own, others are painted."""
    painted = paint(views.images[:, 0], views.mask, generator)
    own = views.present[:, 1:, None, None]
    contrast = own * views.images[:, 1:] + (1 - own) * painted
    return torch.cat([views.images[:, :1], contrast], dim=1)


def _weathered(images: Tensor, generator: torch.Generator) -> Tensor:
    """Gain, gamma, blur, speckle and dimming with depth; gain cancels later, clipping stays."""
    count, channels, rows, _ = images.shape

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, channels, 1, 1, generator=generator)

    def coin(probability: float) -> Tensor:
        return (between(0, 1) < probability).float()

    gained = (images * between(-0.4, 0.4).exp()).clamp(0, 1) ** between(-0.3, 0.3).exp()
    depth = torch.linspace(0, 1, rows)[None, None, :, None]
    dimmed = gained * (1 - coin(0.3) * between(0, 0.7) * depth)
    soft = blur(dimmed.flatten(0, 1), 0.8, 0.8).view_as(dimmed)
    smooth = torch.lerp(dimmed, soft, coin(0.3))
    noise = torch.randn(images.shape, generator=generator)
    return (smooth * (1 + coin(0.4) * between(0, 0.25) * noise)).clamp(0, 1)


def _kept_channels(present: Tensor, generator: torch.Generator) -> Tensor:
    """Draw what is left of each image; a single-pane exam has no B-mode and keeps its contrast."""
    shares = torch.tensor([share for share, _ in DROPS])
    patterns = torch.tensor([pattern for _, pattern in DROPS], dtype=torch.float32)
    drawn = torch.multinomial(shares, len(present), replacement=True, generator=generator)
    keep = patterns[drawn]
    keep[:, 0] *= present[:, 0]
    keep[keep.sum(dim=1) == 0] = patterns[-1]
    return keep
