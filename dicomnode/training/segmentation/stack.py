"""Samples as tensors, on the device that learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from dicomnode.training.segmentation.samples import Sample

__all__ = ["Stack"]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """N samples together.

    Attributes
    ----------
    images : Tensor of float16, shape (N, channels, STORED, STORED)
    mask : Tensor of bool, shape (N, STORED, STORED)
    present : Tensor, shape (N, channels)
        1 where a channel is there.
    aspect : Tensor, shape (N,)
        Height over width of each pane.
    """

    images: Tensor
    mask: Tensor
    present: Tensor
    aspect: Tensor

    @classmethod
    def of(cls, samples: Sequence[Sample], device: str = "cpu") -> Self:
        """Put the samples on a device."""
        return cls(
            images=torch.from_numpy(np.stack([s.images for s in samples])).to(device),
            mask=torch.from_numpy(np.stack([s.mask for s in samples])).to(device),
            present=torch.tensor([s.present for s in samples], dtype=torch.float32, device=device),
            aspect=torch.tensor([s.aspect for s in samples], dtype=torch.float32, device=device),
        )

    def __len__(self) -> int:
        return len(self.aspect)

    def take(self, indices: Tensor) -> "Stack":
        """Some of the samples, in the order of the indices."""
        return Stack(
            images=self.images[indices],
            mask=self.mask[indices],
            present=self.present[indices],
            aspect=self.aspect[indices],
        )
