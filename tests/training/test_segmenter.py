"""Samples, augmentation and the network: what goes in stays what it is."""

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from torch.nn import functional

from dicomnode.cli import cli
from dicomnode.dicom.exam import ReadSettings
from dicomnode.errors import SettingsError
from dicomnode.inference.bundle import load
from dicomnode.inference.models import load_models
from dicomnode.inference.segment import Segmenter
from dicomnode.training.segmentation.augment import augmented, plain
from dicomnode.training.segmentation.busi import busi_images
from dicomnode.training.segmentation.contrast import paint
from dicomnode.training.segmentation.export import exported
from dicomnode.training.segmentation.folds import FOLDS
from dicomnode.training.segmentation.network import UNet, pretrained_weights
from dicomnode.training.segmentation.samples import CHANNELS, Sample, split_by_group
from dicomnode.training.segmentation.segmenter import SegmenterSettings, train, train_fold
from dicomnode.training.segmentation.stack import Stack
from dicomnode.training.site import segmenter as site_segmenter
from dicomnode.training.site.cohort import read_cohort
from dicomnode.training.site.exams import held_out
from dicomnode.training.site.segmenter import SiteSegmenterSettings
from parts.outlined import draw, table, written


def disc(rows: int, columns: int) -> np.ndarray:
    row, column = np.mgrid[:rows, :columns]
    return np.hypot(row - 0.4 * rows, column - 0.6 * columns) < 0.15 * rows


def bmode_sample(number: int, shape: tuple[int, int] = (100, 140)) -> Sample:
    mask = disc(*shape)
    rng = np.random.default_rng(number)
    grey = (0.6 - 0.4 * mask + 0.05 * rng.normal(size=shape)).astype(np.float32)
    return Sample.of({"bmode": grey}, mask, group=f"patient {number // 2}", origin="busi")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_groups_are_never_split() -> None:
    groups = [bmode_sample(n).group for n in range(20)]
    folds = [split_by_group(groups, folds=5, fold=n, seed=4) for n in range(5)]
    assert np.array_equal(np.sum(folds, axis=0), np.ones(20))
    for fold in folds:
        assert fold.sum() == 4
        out = {group for group, is_out in zip(groups, fold, strict=True) if is_out}
        assert not out & {g for g, is_out in zip(groups, fold, strict=True) if not is_out}


def test_a_plain_view_is_what_the_segmenter_sees() -> None:
    """Letterboxed and normalised in training as in the node, up to interpolation."""
    shape = (160, 160)
    mask = disc(*shape)
    grey = (0.6 - 0.4 * mask).astype(np.float32)
    sample = Sample.of({"bmode": grey}, mask, group="one", origin="busi")
    wide = Sample(
        images=sample.images,
        mask=sample.mask,
        present=sample.present,
        aspect=0.5,
        group="one",
        origin="busi",
    )
    batch = plain(Stack.of([sample, wide]), 128)
    assert batch.images.shape == (2, len(CHANNELS), 128, 128)
    assert abs(float(batch.images[0, 0].mean())) < 1e-3
    assert abs(float(batch.images[0, 0].std()) - 1) < 1e-2
    assert not batch.images[1, 0, :31].any()
    assert not batch.images[:, 1:].any()
    assert float(batch.mask[0].mean()) == pytest.approx(mask.mean(), rel=0.05)


def test_augmented_masks_follow_their_lesions() -> None:
    batch = augmented(Stack.of([bmode_sample(n) for n in range(32)]), 128, seeded(1))
    shown = batch.images[:, 0].abs().amax(dim=(1, 2)) > 0
    inside = (batch.images[:, 0] * batch.mask).sum(dim=(1, 2)) / batch.mask.sum(dim=(1, 2))
    outside = (batch.images[:, 0] * (1 - batch.mask)).mean(dim=(1, 2))
    seen = shown & (batch.mask.sum(dim=(1, 2)) > 30)
    assert seen.sum() > 15
    assert bool((inside < outside)[seen].all())


def test_augmentation_drops_every_group_of_channels_sometimes() -> None:
    batch = augmented(Stack.of([bmode_sample(n) for n in range(64)]), 32, seeded(2))
    present = batch.images.abs().amax(dim=(2, 3)) > 0
    patterns = {tuple(row) for row in present.tolist()}
    assert (True, False, False, False, False) in patterns
    assert (False, True, True, True, True) in patterns
    assert bool(present.any(dim=1).all())


def test_the_same_seed_gives_the_same_batch() -> None:
    samples = Stack.of([bmode_sample(n) for n in range(4)])
    one, other = (augmented(samples, 64, seeded(3)) for _ in range(2))
    assert torch.equal(one.images, other.images)


def test_painted_contrast_stays_in_range_and_needs_no_lesion() -> None:
    bmode = torch.rand(3, 64, 64, generator=seeded(4))
    painted = paint(bmode, torch.zeros(3, 64, 64), seeded(5))
    assert painted.shape == (3, 4, 64, 64)
    assert float(painted.min()) >= 0
    assert float(painted.max()) <= 1


@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_the_exported_network_has_an_open_batch_and_is_small() -> None:
    content = exported(UNet(5), 5, 64)
    model = onnx.load(io.BytesIO(content))
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert len(content) < 8_000_000
    assert sum(p.numel() for p in UNet(5).parameters()) <= 2_000_000


@pytest.mark.skipif(pretrained_weights() is None, reason="the weights' package is not installed")
def test_b_mode_sees_at_first_what_a_grey_photograph_showed() -> None:
    """The encoder takes the published weights over, and answers the missing channels with zero."""
    network = UNet(5)
    network.begin_with(pretrained_weights())
    network.eval()
    grey = torch.randn(1, 1, 64, 64, generator=seeded(6))
    images = torch.cat([grey, torch.zeros(1, 4, 64, 64)], dim=1)
    theirs = torch.load(pretrained_weights(), weights_only=True)
    colours = functional.conv2d(
        grey.expand(-1, 3, -1, -1), theirs["_conv_stem.weight"], stride=2, padding=1
    )
    assert torch.allclose(network.stem[0](images), colours, atol=1e-4)
    last = network.stages[-1][-1]
    assert torch.equal(last.narrow[0].weight, theirs["_blocks.12._project_conv.weight"])
    assert torch.equal(last.narrow[1].running_var, theirs["_blocks.12._bn2.running_var"])


def test_weights_that_are_not_those_published_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "efficientnet-lite0.pth"
    torch.save({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, path)
    with pytest.raises(ValueError, match="sha256"):
        UNet(5).begin_with(path)


def write_busi(directory: Path, count: int) -> Path:
    rows = ["image,label,dup_group,cross_class_dup,split"]
    for n in range(count):
        folder = directory / "benign"
        for part in ("images", "mask"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        sample = bmode_sample(n)
        grey = (255 * np.clip(sample.images[0].astype(np.float32), 0, 1)).astype(np.uint8)
        Image.fromarray(grey).save(folder / "images" / f"benign ({n}).png")
        Image.fromarray(sample.mask).save(folder / "mask" / f"benign ({n})_mask.png")
        split = "heldout" if n == 0 else "dev"
        rows.append(f"benign/images/benign ({n}).png,benign,{n},{int(n == 1)},{split}")
    (directory / "manifest.csv").write_text("\n".join(rows) + "\n")
    return directory


def test_held_out_and_contradictory_images_are_not_read(tmp_path: Path) -> None:
    images = busi_images(write_busi(tmp_path, 5))
    assert [image.group for image in images] == ["busi-2", "busi-3", "busi-4"]
    assert all(image.sample.mask.any() for image in images)


@pytest.mark.training
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_small_network_learns_resumes_and_becomes_a_bundle(tmp_path: Path) -> None:
    settings = SegmenterSettings(
        work=tmp_path / "work",
        bundle=tmp_path / "segmenter",
        busi=write_busi(tmp_path / "busi", 18),
        exams=4,
        held_out_exams=2,
        epochs=1,
        size=64,
        learning_rate=1e-3,
    )
    for fold in range(1, FOLDS + 1):
        train_fold(settings, fold)
    train(settings)
    longer = SegmenterSettings(**{**vars(settings), "epochs": 2})
    bundle = load(train(longer))
    assert "BUSI" in bundle.use.trained_on
    figures = {figure.name: figure for figure in bundle.manifest.figures}
    assert figures["mean Dice, benign"].count == 16
    assert figures["mean Dice, benign"].conditions.startswith("lesions of BUSI, B-mode only")
    assert 0 <= figures["mean pixel accuracy"].value <= 1
    assert any("mean pixel accuracy" in sentence for sentence in bundle.use.figures)
    answer = Segmenter(bundle).segment({"bmode": np.zeros((80, 90), np.float32)}, (0.1, 0.1))
    assert answer.probability.shape == (80, 90)


@pytest.fixture(scope="module")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 tiny exams of 7 patients, the last without an outline, and a folder without any exam."""
    root = tmp_path_factory.mktemp("outlined")
    rows = {}
    for number in range(8):
        exam = written(root / f"e{number}", 9_730_000 + number)
        name = "" if number == 7 else f"e{number}.{'dcm' if number % 2 else 'png'}"
        rows[f"e{number}"] = name
        if name.endswith("dcm"):
            exam.write_seg(root / name)
        elif name:
            draw(root / name, exam.in_frame())
    (root / "notes").mkdir()
    (root / "notes" / "readme.txt").write_text("no exam")
    draw(root / "notes.png", exam.in_frame())
    return table(root / "cases.csv", rows | {"notes": "notes.png"}, {"e1": "e0"})


def patients_held_out(table: Path) -> frozenset[str]:
    """Of those whose exams can be decoded."""
    cases = read_cohort(table, labelled=False, settings=ReadSettings()).outlined()
    return held_out((case.patient for case in cases if case.name != "notes"), 1)


def trained(table: Path, root: Path, *words: object) -> Result:
    command = [
        "train", "segmenter", "--cohort", table, "--models", root / "models", "--work",
        table.parent / "work", "--exams", 0, "--epochs", 1, *words,
    ]  # fmt: skip
    return CliRunner().invoke(cli, [str(word) for word in command], terminal_width=200)


@pytest.mark.training
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_sites_own_cases_become_a_bundle_that_the_node_loads(
    outlined: Path, tmp_path: Path
) -> None:
    result = trained(outlined, tmp_path, "--few")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "notes: not-dicom" in result.output
    assert "next: `dicomnode train classifier`" in result.output
    out = patients_held_out(outlined)
    unseen = sum({"e1": "e0"}.get(f"e{n}", f"e{n}") in out for n in range(7))
    manifest = load(tmp_path / "models" / "segmenter").manifest
    assert manifest.trained_on == f"{7 - unseen} cases of this site"
    assert manifest.licence == "the site's own"
    named = [source.name for source in manifest.training_data]
    assert named[-1] == f"{7 - unseen} of the 9 cases in the site's table"
    assert "simulat" not in manifest.model_dump_json().lower()
    figures = {figure.name: figure for figure in manifest.figures}
    told = (
        f"{unseen} cases of this site of 1 patients that were not learnt from; learnt from 5 "
        "others, fewer than the 20"
    )
    for name in ("mean Dice", "mean Hausdorff distance, 95th percentile, mm"):
        assert figures[name].conditions.startswith(told)
    assert 0 <= figures["mean IoU of the lesion"].value <= figures["mean Dice"].value <= 1
    assert figures["cases without an outline, not learnt from"].value == 1
    assert figures["refused: not-dicom"].conditions == "8 exams"
    card = (tmp_path / "models" / "segmenter" / "card.md").read_text()
    assert told in card
    assert [use.trained_on for use in load_models(tmp_path / "models").uses] == [
        f"{7 - unseen} cases of this site", "simulated exams", "simulated exams"
    ]  # fmt: skip


@pytest.mark.training
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nothing_is_learnt_of_the_patients_it_is_judged_by(
    outlined: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Sample] = []
    checkpoints: list[Path] = []

    def untaught(samples: list[Sample], _: object, checkpoint: Path) -> UNet:
        given[:] = samples
        checkpoints.append(checkpoint)
        return UNet(len(CHANNELS))

    monkeypatch.setattr(site_segmenter, "learn", untaught)
    schedule = SegmenterSettings(
        work=outlined.parent / "work" / "segmenter",
        bundle=tmp_path / "segmenter",
        busi=write_busi(tmp_path / "busi", 5),
        exams=2,
        size=64,
    )
    settings = SiteSegmenterSettings(segmenter=schedule, cohort=outlined, few=True)
    bundle = load(site_segmenter.train(settings).bundle)
    groups = {sample.group for sample in given if sample.origin == "site"}
    out = patients_held_out(outlined)
    everyone = {f"site-e{n}" for n in range(7) if n != 1}
    assert len(out) == 1
    assert groups == everyone - {f"site-{patient}" for patient in out}
    assert [sum(s.origin == origin for s in given) for origin in ("busi", "simulated")] == [3, 2]
    assert bundle.use.trained_on.endswith(
        " cases of this site, BUSI B-mode images and simulated exams"
    )
    lines = outlined.read_text().splitlines()
    fewer = outlined.with_name("fewer.csv")
    fewer.write_text("\n".join([lines[0], *lines[3:]]) + "\n", encoding="utf-8")
    site_segmenter.train(SiteSegmenterSettings(segmenter=schedule, cohort=fewer, few=True))
    assert len(set(checkpoints)) == 2


def test_a_sites_segmenter_needs_patients_or_a_word(outlined: Path, tmp_path: Path) -> None:
    result = trained(outlined, tmp_path)
    assert isinstance(result.exception, SettingsError)
    assert "lesion: expected at least 20 patients" in str(result.exception)
    assert "got 7; --few learns from fewer" in str(result.exception)


def test_real_exams_of_any_pixel_shape_keep_their_aspect() -> None:
    images = {name: np.zeros((60, 90), np.float32) for name in CHANNELS}
    sample = Sample.of(
        images, np.ones((60, 90), np.bool_), group="p", origin="site", spacing_mm=(0.3, 0.1)
    )
    assert sample.aspect == pytest.approx(2.0)
