"""The segmenter's network: a small U-Net that runs on one CPU core."""

import torch
from torch import Tensor, nn

__all__ = ["UNet"]

WIDTHS = (12, 24, 40, 64, 96)


class UNet(nn.Module):  # type: ignore[misc]  # torch is read untyped
    """U-Net with a residual block at every level (Ronneberger 2015, arXiv:1505.04597).

    Input (N, channels, H, W) with H and W multiples of 16; output (N, 1, H, W) logits.
    """

    def __init__(self, channels: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        ins = (channels, *widths[:-1])
        self.down = nn.ModuleList(_Block(a, b) for a, b in zip(ins, widths, strict=True))
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(_Block(a + b, b) for a, b in pairs)
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.answer = nn.Conv2d(widths[0], 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of lesion, pixel by pixel."""
        kept = [self.down[0](images)]
        for block in self.down[1:]:
            kept.append(block(self.pool(kept[-1])))
        x = kept.pop()
        for block in self.up:
            x = block(torch.cat([self.grow(x), kept.pop()], dim=1))
        logits: Tensor = self.answer(x)
        return logits


class _Block(nn.Module):  # type: ignore[misc]  # torch is read untyped
    """Two convolutions with batch normalisation and a shortcut."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(ins, outs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outs, outs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outs),
        )
        self.shortcut = nn.Conv2d(ins, outs, 1, bias=False)
        self.rectify = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.rectify(self.body(x) + self.shortcut(x))
        return y
