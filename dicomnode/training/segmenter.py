"""Train the segmenter on real B-mode lesions (BUSI) and simulated exams, and write its bundle."""

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from dicomnode.inference.bundle import Channel, Manifest, Source, Tensors
from dicomnode.inference.bundle import Tensor as TensorShape
from dicomnode.training.augment import augmented
from dicomnode.training.busi import read_busi
from dicomnode.training.card import UNSIGNED, write_bundle
from dicomnode.training.exams import SIMULATED_EXAMS, exam_samples
from dicomnode.training.export import exported
from dicomnode.training.network import UNet
from dicomnode.training.samples import CHANNELS, Sample, split_by_group
from dicomnode.training.validation import dices, figures_of

__all__ = ["SegmenterSettings", "train"]

CONSOLE = Console()


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
        Simulated exams to learn from and to validate on, half of each kind.
    threads : int
        Threads of torch.
    """

    work: Path
    bundle: Path
    busi: Path | None = None
    exams: int = 200
    held_out_exams: int = 40
    epochs: int = 60
    batch: int = 16
    size: int = 128
    learning_rate: float = 3e-3
    held_out_share: float = 0.2
    seed: int = 1
    threads: int = 1
    version: str = "1"


@dataclass(frozen=True, kw_only=True)
class _Cohorts:
    learn: list[Sample]
    busi: list[Sample]
    """Held out, B-mode only."""
    exams: list[Sample]
    """Held out, all channels."""


@dataclass(kw_only=True)
class _State:
    """What a checkpoint holds."""

    network: UNet
    average: UNet
    optimiser: torch.optim.AdamW
    epoch: int = 0


def train(settings: SegmenterSettings) -> Path:
    """Train, validate on lesions never seen, export, and return the bundle's folder."""
    torch.set_num_threads(settings.threads)
    settings.work.mkdir(parents=True, exist_ok=True)
    cohorts = _cohorts(settings)
    state = _resumed(settings)
    for epoch in range(state.epoch, settings.epochs):
        loss = _epoch(state, cohorts.learn, settings, epoch)
        state.epoch = epoch + 1
        _save(state, settings)
        means = [
            float(np.mean(dices(state.average, samples, settings.size)))
            for samples in (cohorts.busi, cohorts.exams)
            if samples
        ]
        CONSOLE.print(f"epoch {epoch + 1} loss {loss:.4f} held-out Dice {np.round(means, 4)}")
    content = exported(state.average, len(CHANNELS), settings.size)
    return write_bundle(settings.bundle, _manifest(state.average, cohorts, settings), content)


def _cohorts(settings: SegmenterSettings) -> _Cohorts:
    busi = read_busi(settings.busi) if settings.busi else []
    learn, held_out = split_by_group(busi, share=settings.held_out_share, seed=settings.seed)
    exams = exam_samples(settings.work, "segmenter", settings.exams, settings.seed)
    unseen = exam_samples(
        settings.work, "segmenter-held-out", settings.held_out_exams, settings.seed
    )
    return _Cohorts(learn=learn + exams, busi=held_out, exams=unseen)


def _resumed(settings: SegmenterSettings) -> _State:
    torch.manual_seed(settings.seed)
    network = UNet(len(CHANNELS)).to(memory_format=torch.channels_last)  # twice as fast here
    state = _State(
        network=network,
        average=copy.deepcopy(network),
        optimiser=torch.optim.AdamW(
            network.parameters(), settings.learning_rate, weight_decay=0.01
        ),
    )
    if _checkpoint(settings).exists():
        kept = torch.load(_checkpoint(settings), weights_only=True)
        state.network.load_state_dict(kept["network"])
        state.average.load_state_dict(kept["average"])
        state.optimiser.load_state_dict(kept["optimiser"])
        state.epoch = kept["epoch"]
    return state


def _checkpoint(settings: SegmenterSettings) -> Path:
    return settings.work / "segmenter.pt"


def _save(state: _State, settings: SegmenterSettings) -> None:
    path = _checkpoint(settings)
    parts = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "epoch": state.epoch,
    }
    torch.save(parts, path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)


def _epoch(state: _State, learn: list[Sample], settings: SegmenterSettings, epoch: int) -> float:
    """One pass; its random numbers come from seed and epoch, so that a resumed run is the same."""
    generator = torch.Generator().manual_seed(1000 * settings.seed + epoch)
    order = torch.randperm(len(learn), generator=generator).tolist()
    starts = range(0, len(order), settings.batch)
    state.network.train()
    losses = []
    for step, start in enumerate(track(starts, f"epoch {epoch + 1}", transient=True)):
        done = epoch + step / len(starts)
        for group in state.optimiser.param_groups:
            group["lr"] = _learning_rate(done / settings.epochs, settings.learning_rate)
        samples = [learn[index] for index in order[start : start + settings.batch]]
        batch = augmented(samples, settings.size, generator)
        images = batch.images.contiguous(memory_format=torch.channels_last)
        loss = _loss(state.network(images)[:, 0], batch.mask)
        state.optimiser.zero_grad()
        loss.backward()
        state.optimiser.step()
        _follow(state.average, state.network, done * len(starts))
        losses.append(loss.item())
    return float(np.mean(losses))


def _learning_rate(done: float, highest: float) -> float:
    """Linear rise over the first tenth, then half a cosine down to a hundredth."""
    if done < 0.1:
        return highest * (0.04 + 0.96 * done / 0.1)
    return highest * (0.01 + 0.99 * (1 + math.cos(math.pi * (done - 0.1) / 0.9)) / 2)


def _follow(average: UNet, network: UNet, step: float) -> None:
    """Exponential average of the weights; it is the average that is validated and exported."""
    keep = min(0.995, (1 + step) / (10 + step))
    with torch.no_grad():
        theirs = network.state_dict()
        for name, mine in average.state_dict().items():
            if mine.is_floating_point():
                mine.lerp_(theirs[name], 1 - keep)
            else:
                mine.copy_(theirs[name])


def _loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy and soft Dice; an image without a lesion has only the first."""
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, mask)
    probability = logits.sigmoid()
    both = (probability * mask).sum(dim=(1, 2))
    total = probability.sum(dim=(1, 2)) + mask.sum(dim=(1, 2))
    has_lesion = (mask.sum(dim=(1, 2)) > 0).float()
    overlap = 1 - (2 * both + 1) / (total + 1)
    return cross_entropy + (overlap * has_lesion).sum() / has_lesion.sum().clamp_min(1)


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


def _manifest(network: UNet, cohorts: _Cohorts, settings: SegmenterSettings) -> Manifest:
    size, channels = settings.size, len(CHANNELS)
    real = "BUSI B-mode images and " if settings.busi else ""
    return Manifest(
        name="segmenter",
        version=settings.version,
        task="segmentation",
        file="model.onnx",
        sha256=UNSIGNED,
        trained_on=f"{real}simulated exams",
        licence="Apache-2.0",
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
        training_data=((BUSI,) if settings.busi else ()) + (SIMULATED_EXAMS,),
        figures=figures_of(network, cohorts.busi, cohorts.exams, size),
    )
