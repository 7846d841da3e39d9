"""Teach the segmenter's network: batches, loss, schedule, and a checkpoint after every epoch."""

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from dicomnode.training.segmentation.augment import augmented
from dicomnode.training.segmentation.network import UNet, pretrained_weights
from dicomnode.training.segmentation.samples import CHANNELS, Sample
from dicomnode.training.segmentation.stack import Stack

__all__ = ["CONSOLE", "Schedule", "learn"]

CONSOLE = Console()


class Schedule(Protocol):
    """What decides how a network learns."""

    @property
    def epochs(self) -> int: ...  # noqa: D102
    @property
    def batch(self) -> int: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102


@dataclass(kw_only=True)
class _State:
    """What a checkpoint holds."""

    network: UNet
    average: UNet
    optimiser: torch.optim.AdamW
    epoch: int = 0


def learn(samples: list[Sample], schedule: Schedule, checkpoint: Path) -> UNet:
    """Train on the samples, from the checkpoint on if there is one; return the averaged network.

    Every random number comes from seed and epoch, so that a resumed run is the same.
    """
    state = _resumed(schedule, checkpoint)
    stack = Stack.of(samples, schedule.device)
    for epoch in range(state.epoch, schedule.epochs):
        loss = _epoch(state, stack, schedule, epoch)
        state.epoch = epoch + 1
        _save(state, checkpoint)
        CONSOLE.print(f"{checkpoint.stem}: epoch {epoch + 1} of {schedule.epochs}, loss {loss:.4f}")
    average: UNet = state.average.cpu()
    return average


def _resumed(schedule: Schedule, checkpoint: Path) -> _State:
    torch.manual_seed(schedule.seed)
    network = UNet(len(CHANNELS))
    if weights := pretrained_weights():
        network.begin_with(weights)
    network = network.to(schedule.device, memory_format=torch.channels_last)  # twice as fast here
    state = _State(
        network=network,
        average=copy.deepcopy(network),
        optimiser=torch.optim.AdamW(
            network.parameters(), schedule.learning_rate, weight_decay=0.01
        ),
    )
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=schedule.device, weights_only=True)
        state.network.load_state_dict(kept["network"])
        state.average.load_state_dict(kept["average"])
        state.optimiser.load_state_dict(kept["optimiser"])
        state.epoch = kept["epoch"]
    return state


def _save(state: _State, path: Path) -> None:
    parts = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "epoch": state.epoch,
    }
    torch.save(parts, path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)


def _epoch(state: _State, given: Stack, schedule: Schedule, epoch: int) -> float:
    """One pass; return the mean loss."""
    generator = torch.Generator(schedule.device).manual_seed(1000 * schedule.seed + epoch)
    order = torch.randperm(len(given), generator=generator, device=schedule.device)
    starts = range(0, len(given), schedule.batch)
    state.network.train()
    losses = []
    for step, start in enumerate(track(starts, f"epoch {epoch + 1}", transient=True)):
        done = epoch + step / len(starts)
        for group in state.optimiser.param_groups:
            group["lr"] = _learning_rate(done / schedule.epochs, schedule.learning_rate)
        samples = given.take(order[start : start + schedule.batch])
        batch = augmented(samples, schedule.size, generator)
        images = batch.images.contiguous(memory_format=torch.channels_last)
        loss = _loss(state.network(images)[:, 0], batch.mask)
        state.optimiser.zero_grad()
        loss.backward()
        state.optimiser.step()
        _follow(state.average, state.network, done * len(starts))
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())


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
