"""The shipped bundles, and folders that do not hold what their names say."""

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Manifest, load
from dicomnode.inference.figures import headlines
from dicomnode.inference.models import load_models, read_codebook
from dicomnode.science.feature_table import FEATURES
from dicomnode.science.loop import Loop, summary_images
from dicomnode.science.motion import register

MODELS = Path(__file__).resolve().parents[2] / "models"


def test_the_shipped_bundles_load_and_fit_this_code() -> None:
    models = load_models(MODELS)
    assert [use.task for use in models.uses] == ["segmentation", "sub-regions", "classification"]
    known = {feature.name for feature in FEATURES}
    assert {feature.name for feature in load(MODELS / "classifier").manifest.inputs} <= known


def test_the_example_of_another_network_is_a_manifest() -> None:
    _, begun, rest = (MODELS / "README.md").read_text().partition("[[inputs]]")
    head = dict.fromkeys(
        ("name", "version", "trained_on", "licence", "intended_use", "output"), "x"
    )
    head |= {"task": "segmentation", "file": "theirs.onnx", "sha256": "0" * 64, "fit": "stretch"}
    example = tomllib.loads(begun + rest.partition("```")[0])
    manifest = Manifest.model_validate(head | example)
    (sentence,) = headlines(manifest.all_figures)
    assert sentence == (
        "mean Dice 0.810 (95 % 0.780 to 0.840). Obtained on: 200 lesions of our hospital, "
        "B-mode only, none learnt from."
    )


def test_the_shipped_segmenter_takes_any_channel_group() -> None:
    rng = np.random.default_rng(0)
    images = {
        name: rng.random((120, 100)).astype(np.float32)
        for name in ("bmode", "contrast_max", "contrast_mean", "arrival", "contrast_start")
    }
    segmenter = load_models(MODELS).segmenter
    for chosen in (("bmode",), ("contrast_max", "contrast_mean"), tuple(images)):
        answer = segmenter.segment({name: images[name] for name in chosen}, (0.1, 0.1))
        assert answer.probability.shape == (120, 100)
        assert np.isfinite(answer.probability).all()


def test_the_shipped_bundles_are_small() -> None:
    sizes = {path: path.stat().st_size for path in MODELS.rglob("*") if path.is_file()}
    assert max(sizes.values()) < 8_000_000  # two million parameters in single precision
    data = [path for path in sizes if path.suffix in {".png", ".jpg", ".dcm", ".npz"}]
    assert data == [MODELS / "classifier" / "report.png"]  # plots of figures, no image


def test_a_bundle_in_the_wrong_place_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("segmenter", "codebook", "classifier"):
        shutil.copytree(MODELS / "codebook", tmp_path / name)
    with pytest.raises(BundleError, match="bundle codebook: expected task 'segmentation'"):
        load_models(tmp_path)


def test_a_missing_bundle_is_refused_by_name(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "segmenter", tmp_path / "segmenter")
    with pytest.raises(BundleError, match="bundle codebook: expected a readable"):
        load_models(tmp_path)


def test_a_segmenter_is_no_codebook() -> None:
    with pytest.raises(BundleError, match="bundle segmenter: not a codebook"):
        read_codebook(load(MODELS / "segmenter"))


@pytest.mark.shared_data
def test_the_shipped_segmenter_finds_the_lesion_of_a_real_clip(shared_data: Path) -> None:
    """The dark oval below the middle of the B-mode pane; no outline by a reader exists."""
    paths = sorted((shared_data / "ceus_breast_ceusformer" / "benign_case14").glob("*.jpg"))
    frames = [np.asarray(Image.open(path)) for path in paths]
    loop = Loop(
        bmode=np.stack([frame[:, :550].mean(axis=2).astype(np.uint8) for frame in frames]),
        contrast=np.stack([frame[:, 550:].max(axis=2) for frame in frames]),
        times_s=np.arange(float(len(frames))),
        spacing_mm=(0.05, 0.05),
        graphics=np.zeros((582, 550), np.bool_),
    )
    images = summary_images(loop, register(loop))
    for chosen in (images, {"bmode": images["bmode"]}):
        found = load_models(MODELS).segmenter.segment(chosen, loop.spacing_mm)
        row, column = np.argwhere(found.mask).mean(axis=0)
        assert found.lesion_probability > 0.5
        assert 260 < row < 350
        assert 240 < column < 330
        assert 0.01 < found.mask.mean() < 0.08
