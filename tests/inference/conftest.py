"""Small bundles that really run: a one-layer segmenter and a fitted classifier."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dicomnode.inference.bundle import Channel, Manifest, Tensor, Tensors
from dicomnode.training.card import UNSIGNED, write_bundle
from dicomnode.training.diagnosis.logistic import as_onnx, fit

CHANNELS = ("bmode", "contrast_max", "contrast_mean", "arrival", "contrast_start")
SIZE = 64
FEATURES = ("rim", "entropy", "fast")


def dark_is_lesion() -> bytes:
    """A network of one 5x5 mean filter: what is dark on B-mode or bright in contrast is lesion."""
    weights = np.zeros((1, 5, 5, 5), np.float32)
    weights[0, 0], weights[0, 2] = -4 / 25, 4 / 25
    nodes = [
        helper.make_node("Conv", ["images", "w", "b"], ["logits"], pads=[2, 2, 2, 2]),
    ]
    initial = [
        helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel()),
        helper.make_tensor("b", TensorProto.FLOAT, (1,), [-6.0]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", count, SIZE, SIZE])
        for name, count in (("images", 5), ("logits", 1))
    ]
    graph = helper.make_graph(nodes, "dark", [ends[0]], [ends[1]], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(onnx.ModelProto.SerializeToString(model))


def segmenter_manifest(**changes: object) -> Manifest:
    fields: dict[str, object] = {
        "name": "dark-finder",
        "version": "1",
        "task": "segmentation",
        "file": "model.onnx",
        "sha256": UNSIGNED,
        "trained_on": "nothing",
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
        "inputs": tuple(
            Channel(name=name, meaning=name, normalisation="z-score") for name in CHANNELS
        ),
        "output": "logit",
        "tensors": Tensors(
            input=Tensor(name="images", shape=(-1, 5, SIZE, SIZE)),
            output=Tensor(name="logits", shape=(-1, 1, SIZE, SIZE)),
        ),
    }
    return Manifest.model_validate({**fields, **changes})


def overlapping_patients(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    is_malignant = np.arange(count) % 2 == 0
    x = rng.normal(size=(count, 3)) * (1.0, 2.0, 0.5) + (0.0, 5.0, 0.3)
    x[:, 0] += 1.2 * is_malignant
    x[:, 2] += 0.4 * is_malignant
    return x, is_malignant


def write_classifier(directory: Path) -> Path:
    x, is_malignant = overlapping_patients(120, 7)
    fitted = fit(x, is_malignant, coverage=0.9, seed=1)
    manifest = Manifest(
        name="small-classifier",
        version="1",
        task="classification",
        file="model.onnx",
        sha256=UNSIGNED,
        trained_on="random numbers",
        licence="Apache-2.0",
        intended_use="Tests.",
        inputs=tuple(Channel(name=n, meaning=n, normalisation="none") for n in FEATURES),
        output="probability of malignancy",
        tensors=Tensors(
            input=Tensor(name="features", shape=(-1, 3)),
            output=Tensor(name="probabilities", shape=(-1, 2)),
        ),
        linear=fitted.linear,
        calibration=fitted.calibration,
        distribution=fitted.distribution,
    )
    return write_bundle(directory, manifest, as_onnx(fitted.linear))


@pytest.fixture
def segmenter_bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "dark", segmenter_manifest(), dark_is_lesion())


@pytest.fixture(scope="session")
def classifier_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("bundles") / "small")
