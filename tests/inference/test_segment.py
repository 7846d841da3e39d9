"""The segmenter on pictures whose lesion is known, with channels missing."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Channel, OutputSpec, Tensors, load
from dicomnode.inference.bundle import Tensor as TensorShape
from dicomnode.inference.segment import Segmenter
from dicomnode.training.card import write_bundle
from tests.inference.conftest import segmenter_manifest

ROWS, COLUMNS = 90, 150


@pytest.fixture
def segmenter(segmenter_bundle: Path) -> Segmenter:
    return Segmenter(load(segmenter_bundle))


def disc(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    return np.hypot(rows - row, columns - column) < radius


def images(lesion: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.02, lesion.shape).astype(np.float32)
    return {
        "bmode": (0.6 - 0.5 * lesion + noise).astype(np.float32),
        "contrast_mean": (0.2 + 0.5 * lesion + noise).astype(np.float32),
    }


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def test_it_finds_the_lesion_in_pane_coordinates(segmenter: Segmenter) -> None:
    truth = disc(40, 100, 18)
    answer = segmenter.segment(images(truth), (0.1, 0.1))
    assert answer.probability.shape == answer.mask.shape == (ROWS, COLUMNS)
    assert answer.probability.dtype == np.float32
    assert overlap(answer.mask, truth) > 0.85
    assert answer.lesion_probability > 0.9
    assert 0 <= answer.uncertainty < 0.6


@pytest.mark.parametrize("channel", ["bmode", "contrast_mean"])
def test_either_channel_is_enough(segmenter: Segmenter, channel: str) -> None:
    truth = disc(40, 100, 18)
    answer = segmenter.segment({channel: images(truth)[channel]}, (0.1, 0.1))
    assert overlap(answer.mask, truth) > 0.7


def test_unknown_images_are_not_looked_at(segmenter: Segmenter) -> None:
    known = images(disc(40, 100, 18))
    more = {**known, "elastography": np.full((3, 3), np.nan, np.float32)}
    assert np.array_equal(
        segmenter.segment(known, (0.1, 0.1)).mask, segmenter.segment(more, (0.1, 0.1)).mask
    )


def test_an_empty_pane_has_no_lesion(segmenter: Segmenter) -> None:
    answer = segmenter.segment(images(np.zeros((ROWS, COLUMNS), bool)), (0.1, 0.1))
    assert not answer.mask.any()
    assert answer.lesion_probability < 0.5
    assert answer.uncertainty == 1.0


def test_the_mask_is_one_region_without_holes(segmenter: Segmenter) -> None:
    both = disc(40, 100, 20) & ~disc(40, 100, 6) | disc(60, 30, 8)
    answer = segmenter.segment(images(both), (0.1, 0.1))
    assert answer.mask[40, 100]
    assert not answer.mask[60, 30]


def test_a_mirrored_pane_gives_the_mirrored_answer(segmenter: Segmenter) -> None:
    known = images(disc(40, 100, 18))
    mirrored = {name: image[:, ::-1] for name, image in known.items()}
    there = segmenter.segment(known, (0.1, 0.1)).probability
    back = segmenter.segment(mirrored, (0.1, 0.1)).probability
    assert np.allclose(there, back[:, ::-1], atol=1e-4)


def test_gain_and_offset_of_a_channel_change_nothing(segmenter: Segmenter) -> None:
    known = images(disc(40, 100, 18))
    louder = {name: (0.3 * image + 0.2).astype(np.float32) for name, image in known.items()}
    expected = segmenter.segment(known, (0.1, 0.1)).probability
    assert np.allclose(segmenter.segment(louder, (0.1, 0.1)).probability, expected, atol=1e-3)


def test_only_the_ratio_of_the_spacings_matters(segmenter: Segmenter) -> None:
    known = images(disc(40, 100, 18))
    near = segmenter.segment(known, (0.05, 0.05))
    far = segmenter.segment(known, (0.2, 0.2))
    squeezed = segmenter.segment(known, (0.2, 0.1))
    assert np.array_equal(near.mask, far.mask)
    assert overlap(squeezed.mask, disc(40, 100, 18)) > 0.8


def test_images_of_different_shapes_are_a_mistake(segmenter: Segmenter) -> None:
    with pytest.raises(ValueError, match="expected one shape for any of"):
        segmenter.segment(
            {"bmode": np.zeros((4, 4), np.float32), "arrival": np.zeros((4, 5), np.float32)},
            (0.1, 0.1),
        )


def test_no_known_image_is_a_mistake(segmenter: Segmenter) -> None:
    with pytest.raises(ValueError, match="expected one shape for any of"):
        segmenter.segment({}, (0.1, 0.1))


def test_a_classifier_is_not_a_segmenter(classifier_bundle: Path) -> None:
    with pytest.raises(BundleError, match="bundle small-classifier: expected an ONNX model"):
        Segmenter(load(classifier_bundle))


def test_an_unknown_normalisation_is_refused(segmenter_bundle: Path) -> None:
    manifest = segmenter_bundle / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("z-score", "by feeling", 1))
    with pytest.raises(BundleError, match=r"normalisation: expected one of .*z-score.*by feeling"):
        Segmenter(load(segmenter_bundle))


def test_views_are_answered_each_by_itself_and_averaged(segmenter_bundle: Path) -> None:
    shown = images(disc(40, 100, 18))
    alone = Segmenter(load(segmenter_bundle))
    every, some = (alone.segment(v, (0.1, 0.1)) for v in (shown, {"bmode": shown["bmode"]}))
    manifest = segmenter_bundle / "manifest.toml"
    views = 'views = [["bmode"], ["never there"]]'
    manifest.write_text(manifest.read_text().replace("views = []", views))
    both = Segmenter(load(segmenter_bundle)).segment(shown, (0.1, 0.1))
    mean = (every.probability + some.probability) / 2
    np.testing.assert_allclose(both.probability, mean, atol=1e-5)


def two_classes(rows: int, columns: int) -> bytes:
    """A network of another make: three colours, its own size, open batch of one, two outputs.

    Background and lesion compete at a quarter of the resolution; the lesion is what is dark.
    """
    weights = np.zeros((2, 3, 4, 4), np.float32)
    weights[0], weights[1] = 1 / 48, -1 / 48
    nodes = [
        helper.make_node("Conv", ["pixels", "w", "b"], ["out"], strides=[4, 4]),
        helper.make_node("Identity", ["out"], ["aux"]),
    ]
    initial = [
        helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel() * 4),
        helper.make_tensor("b", TensorProto.FLOAT, (2,), [-0.5, 0.0]),
    ]
    ends = [
        helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, rows, columns]),
        *(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, rows // 4, columns // 4])
            for name in ("aux", "out")
        ),
    ]
    graph = helper.make_graph(nodes, "two", [ends[0]], ends[1:], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(onnx.ModelProto.SerializeToString(model))


def colours(mean: float, sd: float) -> tuple[Channel, ...]:
    words = ("red", "green", "blue")
    return tuple(
        Channel(name="bmode", meaning=word, normalisation="fixed", mean=mean, sd=sd)
        for word in words
    )


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_a_manifest_is_enough_to_bring_another_network(tmp_path: Path, fit: str) -> None:
    rows, columns = 96, 128
    manifest = segmenter_manifest(
        inputs=colours(0.45, 0.2), output="two classes", fit=fit,
        answer=OutputSpec(activation="softmax", channel=1),
        tensors=Tensors(
            input=TensorShape(name="pixels", shape=(1, 3, rows, columns)),
            output=TensorShape(name="out", shape=(1, 2, rows // 4, columns // 4)),
        ),
    )  # fmt: skip
    bundle = load(write_bundle(tmp_path / "theirs", manifest, two_classes(rows, columns)))
    truth = disc(60, 70, 24)
    found = Segmenter(bundle).segment({"bmode": images(truth)["bmode"]}, (0.1, 0.1))
    assert found.mask.shape == truth.shape
    assert overlap(found.mask, truth) > 0.85
    assert 0 <= found.probability.min() <= found.probability.max() <= 1


def test_the_manifest_says_from_which_probability_a_lesion_is_reported(
    segmenter_bundle: Path,
) -> None:
    rng = np.random.default_rng(4)
    faint = 0.6 - 0.03 * disc(40, 100, 9) + rng.normal(0, 0.02, (ROWS, COLUMNS))
    shown = {"bmode": faint.astype(np.float32)}
    usual = Segmenter(load(segmenter_bundle)).segment(shown, (0.1, 0.1))
    assert usual.mask.any()
    manifest = segmenter_bundle / "manifest.toml"
    above = usual.lesion_probability + 1e-3
    manifest.write_text(manifest.read_text().replace("present = 0.5", f"present = {above}"))
    strict = Segmenter(load(segmenter_bundle)).segment(shown, (0.1, 0.1))
    assert not strict.mask.any()
    np.testing.assert_array_equal(strict.probability, usual.probability)


def test_a_lesion_channel_that_is_not_there_is_refused(segmenter_bundle: Path) -> None:
    manifest = segmenter_bundle / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("channel = 0", "channel = 3"))
    with pytest.raises(BundleError, match="an output of more than 3 channels"):
        Segmenter(load(segmenter_bundle))
