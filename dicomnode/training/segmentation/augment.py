"""Augmentation of training batches: other views, gains, textures and missing channels."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dicomnode.training.segmentation.contrast import blur, paint
from dicomnode.training.segmentation.stack import Stack

__all__ = ["Batch", "augmented", "plain"]

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


def augmented(samples: Stack, size: int, generator: torch.Generator) -> Batch:
    """Draw a random view of every sample, paint contrast where there is none, drop channels."""
    views = _sample(samples, _random_grid(samples, size, generator))
    images = _weathered(_painted(views, generator), generator)
    return _batch(images, views, _kept_channels(views.present, generator))


def plain(samples: Stack, size: int) -> Batch:
    """Letterbox the samples as they are."""
    views = _sample(samples, _plain_grid(samples, size))
    return _batch(views.images, views, views.present)


def _batch(images: Tensor, views: _Views, keep: Tensor) -> Batch:
    return Batch(images=_z_score(images, views.pane) * keep[:, :, None, None], mask=views.mask)


def _z_score(images: Tensor, pane: Tensor) -> Tensor:
    """Z-score every channel over the pane; zero outside it."""
    inside = pane[:, None]
    count = inside.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    mean = (images * inside).sum(dim=(2, 3), keepdim=True) / count
    centred = (images - mean) * inside
    sd = (centred.square().sum(dim=(2, 3), keepdim=True) / count).sqrt().clamp_min(1e-3)
    return centred / sd


def _canvas(samples: Stack, size: int) -> tuple[Tensor, Tensor]:
    steps = (torch.arange(size, device=samples.aspect.device) + 0.5) / size * 2 - 1
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    count = len(samples)
    return rows[None].expand(count, -1, -1), columns[None].expand(count, -1, -1)


def _plain_grid(samples: Stack, size: int) -> _Grid:
    where = torch.stack(_canvas(samples, size), dim=-1)
    where = where / _half_extent(samples)[:, None, None, :]
    return _Grid(where=where, pane=(where.abs() <= 1).all(dim=-1).float())


def _half_extent(samples: Stack) -> Tensor:
    return torch.stack([samples.aspect, 1 / samples.aspect], dim=-1).clamp_max(1)


def _random_grid(samples: Stack, size: int, generator: torch.Generator) -> _Grid:
    """Mirror, turn, zoom, move and squeeze; beyond its edge the pane goes on as in a mirror."""

    def between(low: float, high: float) -> Tensor:
        drawn = torch.rand(len(samples), 1, 1, generator=generator, device=generator.device)
        return low + (high - low) * drawn

    rows, columns = _canvas(samples, size)
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


def _sample(samples: Stack, grid: _Grid) -> _Views:
    both = functional.grid_sample(
        torch.cat([samples.images, samples.mask[:, None]], dim=1).float(),
        grid.where.flip(-1),  # torch wants column, row
        padding_mode="reflection",
        align_corners=False,
    )
    return _Views(
        images=both[:, :-1],
        mask=(both[:, -1] >= 0.5).float() * grid.pane,
        pane=grid.pane,
        present=samples.present,
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
    device = generator.device

    def between(low: float, high: float) -> Tensor:
        drawn = torch.rand(count, channels, 1, 1, generator=generator, device=device)
        return low + (high - low) * drawn

    def coin(probability: float) -> Tensor:
        return (between(0, 1) < probability).float()

    gained = (images * between(-0.4, 0.4).exp()).clamp(0, 1) ** between(-0.3, 0.3).exp()
    depth = torch.linspace(0, 1, rows, device=device)[None, None, :, None]
    dimmed = gained * (1 - coin(0.3) * between(0, 0.7) * depth)
    soft = blur(dimmed.flatten(0, 1), 0.8, 0.8).view_as(dimmed)
    smooth = torch.lerp(dimmed, soft, coin(0.3))
    noise = torch.randn(images.shape, generator=generator, device=device)
    return (smooth * (1 + coin(0.4) * between(0, 0.25) * noise)).clamp(0, 1)


def _kept_channels(present: Tensor, generator: torch.Generator) -> Tensor:
    """Draw what is left of each image; a single-pane exam has no B-mode and keeps its contrast."""
    device = generator.device
    shares = torch.tensor([share for share, _ in DROPS], device=device)
    patterns = torch.tensor([pattern for _, pattern in DROPS], dtype=torch.float32, device=device)
    drawn = torch.multinomial(shares, len(present), replacement=True, generator=generator)
    keep = patterns[drawn]
    keep[:, 0] *= present[:, 0]
    return torch.where(keep.sum(dim=1, keepdim=True) == 0, patterns[-1], keep)
