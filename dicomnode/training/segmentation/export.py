"""The segmenter's network as ONNX, and proof that it answers as it did in training."""

import io

import numpy as np
import torch

from dicomnode.inference.bundle import open_session
from dicomnode.training.segmentation.network import UNet

__all__ = ["EXPORT_TOLERANCE", "exported"]

EXPORT_TOLERANCE = 1e-3
"""Largest difference of a logit between torch and onnxruntime."""

OPSET = 18


def exported(network: UNet, channels: int, size: int) -> bytes:
    """Return the ONNX file of a network in evaluation mode, its batch dimension left open."""
    network.eval()
    example = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))
    file = io.BytesIO()
    torch.onnx.export(
        network,
        (example,),
        file,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    content = file.getvalue()
    _same_answers(network, content, example)
    return content


def _same_answers(network: UNet, content: bytes, example: torch.Tensor) -> None:
    (found,) = open_session("export", content).run(None, {"images": example.numpy()})
    with torch.inference_mode():
        expected = network(example).numpy()
    worst = float(np.abs(found - expected).max())
    if worst > EXPORT_TOLERANCE:
        raise ValueError(f"export: expected logits within {EXPORT_TOLERANCE}, got {worst}")
