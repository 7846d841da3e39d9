"""Train the segmenter on real B-mode lesions (BUSI) and simulated exams, and write its bundle."""

from dataclasses import dataclass
from pathlib import Path

import torch

from dicomnode.errors import SettingsError
from dicomnode.inference.bundle import Channel, Manifest, Source, Tensors
from dicomnode.inference.bundle import Tensor as TensorShape
from dicomnode.inference.figures import Figure
from dicomnode.training.card import UNSIGNED, write_bundle
from dicomnode.training.exams import SIMULATED_EXAMS
from dicomnode.training.segmentation.busi import busi_images, lesion_pictures
from dicomnode.training.segmentation.export import exported
from dicomnode.training.segmentation.folds import cross_validate, fold_figures
from dicomnode.training.segmentation.learning import learn
from dicomnode.training.segmentation.network import IMAGENET, UNet, pretrained_weights
from dicomnode.training.segmentation.samples import CHANNELS, Sample
from dicomnode.training.segmentation.simulated import exam_samples
from dicomnode.training.segmentation.validation import exam_figures

__all__ = [
    "SegmenterSettings",
    "TrainingSources",
    "prepare",
    "public_samples",
    "public_sources",
    "train",
    "train_fold",
    "write_segmenter",
]

VIEWS = (("bmode",), ("bmode", "contrast_mean"))
"""Test-time channel dropout, as in training: contrast that looks unlike the simulator's may lead
the network astray, and answers that lean on less of it hold it back."""


@dataclass(frozen=True, kw_only=True)
class SegmenterSettings:
    """Everything that decides how the segmenter comes out.

    Attributes
    ----------
    work : Path
        Checkpoints and the cache of simulated exams; an interrupted run goes on from there.
    bundle : Path
        Folder the bundle is written to.
    busi : Path or None
        Folder of the BUSI images with their ``manifest.csv``; None trains on simulated exams only.
    exams, held_out_exams : int
        Simulated exams to learn from and to validate on, half of each kind; every second one to
        learn from is built on a BUSI lesion.
    threads : int
        Threads of torch.
    device : str
        Where torch learns: "cpu", or "cuda" where there is such an accelerator.
    """

    work: Path
    bundle: Path
    busi: Path | None = None
    exams: int = 200
    held_out_exams: int = 40
    epochs: int = 36
    batch: int = 16
    size: int = 160
    learning_rate: float = 1e-3
    seed: int = 1
    threads: int = 1
    device: str = "cpu"
    version: str = "1"


@dataclass(frozen=True, kw_only=True)
class TrainingSources:
    """What manifest and card say of the images that were learnt from."""

    trained_on: str
    licence: str
    sources: tuple[Source, ...]


def train(settings: SegmenterSettings) -> Path:
    """Train on everything, validate on exams never seen, export, and return the bundle's folder.

    On real images the card has the figures of the folds that lie in the work folder, if all do.
    """
    prepare(settings)
    network = learn(public_samples(settings), settings, settings.work / "segmenter.pt")
    unseen = exam_samples(
        settings.work, "segmenter-held-out", settings.held_out_exams, settings.seed
    )
    folds = fold_figures(settings.work) if settings.busi else ()
    figures = (*folds, *exam_figures(network, unseen, settings.size))
    return write_segmenter(network, settings, settings.bundle, _sources(settings), figures)


def train_fold(settings: SegmenterSettings, fold: int) -> Path:
    """Train on BUSI without one fold of five and judge it; return the file with the scores."""
    if settings.busi is None:
        raise ValueError("busi: expected the folder of the images to cross-validate on, got none")
    prepare(settings)
    return cross_validate(
        settings.busi, settings.work, settings, fold,
        lambda network, folder: write_segmenter(network, settings, folder, _sources(settings), ()),
    )  # fmt: skip


def prepare(settings: SegmenterSettings) -> None:
    """Set torch's threads and make the work folder.

    Raises
    ------
    SettingsError
        There is no such device.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "--device cuda: expected an accelerator that torch can use, got none",
            hint="--device cpu trains on the processor",
        )
    torch.set_num_threads(settings.threads)
    settings.work.mkdir(parents=True, exist_ok=True)


def public_samples(settings: SegmenterSettings) -> list[Sample]:
    """Images that need no site: BUSI's, and exams simulated on its lesions."""
    images = busi_images(settings.busi) if settings.busi else []
    pictures = lesion_pictures(images) if images else None
    exams = exam_samples(settings.work, "segmenter", settings.exams, settings.seed, pictures)
    return [image.sample for image in images] + exams


def public_sources(settings: SegmenterSettings) -> tuple[Source, ...]:
    """Name where :func:`public_samples` come from."""
    busi = (BUSI,) if settings.busi else ()
    return (*busi, SIMULATED_EXAMS) if settings.exams else busi


def write_segmenter(
    network: UNet,
    settings: SegmenterSettings,
    folder: Path,
    sources: TrainingSources,
    figures: tuple[Figure, ...],
) -> Path:
    """Export a network and write its bundle; return the folder."""
    content = exported(network, len(CHANNELS), settings.size)
    return write_bundle(folder, _manifest(settings, sources, figures), content)


def _sources(settings: SegmenterSettings) -> TrainingSources:
    real = "BUSI B-mode images and " if settings.busi else ""
    return TrainingSources(
        trained_on=f"{real}simulated exams",
        licence="Apache-2.0",
        sources=public_sources(settings),
    )


MEANINGS = {
    "bmode": "mean of the motion-compensated B-mode frames around the reference frame",
    "contrast_max": "brightest grey level over time, motion-compensated",
    "contrast_mean": "mean grey level over time, motion-compensated",
    "arrival": "time of arrival over the loop, 1 where contrast never arrives",
    "contrast_start": "mean of the first frames: what shines without contrast",
}

BUSI = Source(
    name="BUSI, Dataset of breast ultrasound images (development part)",
    licence="article CC BY 4.0; the data set page states none that could be confirmed",
    citation="Al-Dhabyani et al., Data in Brief 28 (2020) 104863, doi:10.1016/j.dib.2019.104863.",
)


def _manifest(
    settings: SegmenterSettings, sources: TrainingSources, figures: tuple[Figure, ...]
) -> Manifest:
    size, channels = settings.size, len(CHANNELS)
    begun = (IMAGENET,) if pretrained_weights() else ()
    return Manifest(
        name="segmenter",
        version=settings.version,
        task="segmentation",
        file="model.onnx",
        sha256=UNSIGNED,
        trained_on=sources.trained_on,
        licence=sources.licence,
        intended_use=(
            "Finds one breast lesion on the summary images of a CEUS loop, for a radiologist to "
            "check. Research use; any channel group may be missing."
        ),
        inputs=tuple(
            Channel(name=name, meaning=MEANINGS[name], normalisation="z-score") for name in CHANNELS
        ),
        views=VIEWS,
        output="logit of lesion, pixel by pixel, on the letterboxed pane",
        tensors=Tensors(
            input=TensorShape(name="images", shape=(-1, channels, size, size)),
            output=TensorShape(name="logits", shape=(-1, 1, size, size)),
        ),
        training_data=(*begun, *sources.sources),
        figures=figures,
    )
