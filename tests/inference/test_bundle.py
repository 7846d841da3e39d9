"""A bundle that is not what its manifest says is refused by name."""

import hashlib
from pathlib import Path

import pytest

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import load


def rewrite(bundle: Path, old: str, new: str) -> None:
    manifest = bundle / "manifest.toml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))


def test_a_bundle_loads_and_says_what_it_is(segmenter_bundle: Path) -> None:
    bundle = load(segmenter_bundle)
    assert (bundle.use.name, bundle.use.task) == ("dark-finder", "segmentation")
    assert bundle.use.trained_on == "nothing"
    assert len(bundle.sha256) == 64


def test_the_card_says_that_nothing_is_validated(segmenter_bundle: Path) -> None:
    assert "Nothing here is clinically validated" in (segmenter_bundle / "card.md").read_text()


def test_a_changed_manifest_makes_another_bundle(segmenter_bundle: Path) -> None:
    before = load(segmenter_bundle).use
    rewrite(segmenter_bundle, "present = 0.5", "present = 0.8")
    after = load(segmenter_bundle).use
    assert after.sha256 == before.sha256
    assert after.manifest_sha256 != before.manifest_sha256
    content = (segmenter_bundle / "manifest.toml").read_bytes()
    assert after.manifest_sha256 == hashlib.sha256(content).hexdigest()


def test_a_fingerprint_tells_what_decides_the_answers_and_no_figure(segmenter_bundle: Path) -> None:
    before = load(segmenter_bundle)
    figure = '{ name = "mean Dice", value = 0.8, conditions = "10 cases" }'
    rewrite(segmenter_bundle, "figures = []", f"figures = [{figure}]")
    told = load(segmenter_bundle)
    assert told.use.figures == ("mean Dice 0.800. Obtained on: 10 cases.",)
    assert told.fingerprint == before.fingerprint
    rewrite(segmenter_bundle, "present = 0.5", "present = 0.8")
    assert load(segmenter_bundle).fingerprint != before.fingerprint


def test_a_tampered_model_is_refused_by_name(segmenter_bundle: Path) -> None:
    model = segmenter_bundle / "model.onnx"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle dark-finder: .*expected sha256 .* got"):
        load(segmenter_bundle)


def test_a_missing_model_is_refused_by_name(segmenter_bundle: Path) -> None:
    (segmenter_bundle / "model.onnx").unlink()
    with pytest.raises(BundleError, match="bundle dark-finder: expected a readable"):
        load(segmenter_bundle)


def test_a_missing_bundle_is_refused_by_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="bundle segmenter: expected a readable"):
        load(tmp_path / "segmenter")


def test_another_shape_than_the_models_is_refused(segmenter_bundle: Path) -> None:
    rewrite(segmenter_bundle, "64,", "128,")
    with pytest.raises(
        BundleError, match=r"dark-finder: input: expected images \(-1, 5, 128, 64\)"
    ):
        load(segmenter_bundle)


def test_another_input_name_is_refused(segmenter_bundle: Path) -> None:
    rewrite(segmenter_bundle, 'name = "images"', 'name = "pictures"')
    with pytest.raises(BundleError, match="input: expected pictures"):
        load(segmenter_bundle)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('task = "segmentation"', 'task = "prophecy"', "task"),
        ('licence = "Apache-2.0"\n', "", "licence: Field required"),
        ('version = "1"', 'version = "1"\nsecret = 2', "secret: Extra inputs"),
        ('file = "model.onnx"', 'file = "../model.onnx"', "expected a plain file name"),
        ('name = "dark-finder"', "name = ", "is not TOML"),
    ],
)
def test_a_malformed_manifest_is_refused(
    segmenter_bundle: Path, old: str, new: str, message: str
) -> None:
    rewrite(segmenter_bundle, old, new)
    with pytest.raises(BundleError, match=message):
        load(segmenter_bundle)


def test_a_file_that_is_no_model_is_refused(segmenter_bundle: Path) -> None:
    noise = b"noise"
    rewrite(segmenter_bundle, load(segmenter_bundle).sha256, hashlib.sha256(noise).hexdigest())
    (segmenter_bundle / "model.onnx").write_bytes(noise)
    with pytest.raises(BundleError, match="bundle dark-finder: not a model that runs here"):
        load(segmenter_bundle)
