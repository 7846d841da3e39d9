"""What must never get a probability: pictures in which nothing was injected, or nothing is seen."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomnode.config import default_models_dir
from dicomnode.errors import RefusedError
from dicomnode.inference.models import Models, load_models
from dicomnode.pipeline import measure
from dicomnode.recipe import Recipe
from dicomnode.science.loop import Loop
from dicomnode.simulation import recipe_for, simulate
from dicomnode.simulation.refusals import bmode_only, without_contrast

SHAPE = (110, 160, 192)


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models(default_models_dir())


def loop_of(contrast: NDArray[np.uint8], bmode: NDArray[np.uint8] | None) -> Loop:
    return Loop(
        contrast=contrast,
        bmode=bmode,
        times_s=np.arange(len(contrast)) / 1.5,
        spacing_mm=(0.1875, 0.1875),
        graphics=np.zeros(contrast.shape[1:], np.bool_),
        dynamic_range_db=60.0,
        dynamic_range_source="tag",
    )


def even(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, SHAPE, dtype=np.uint8)


def speckle(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fully developed speckle under logarithmic compression, new in every frame."""
    decibels = 10 * np.log10(rng.exponential(size=SHAPE))
    return np.clip(140 + decibels * 255 / 60, 0, 255).astype(np.uint8)


def flickering(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Speckle whose level wanders as a gain control does."""
    gain = 12 * np.sin(np.linspace(0, 9, SHAPE[0]))[:, None, None]
    return np.clip(speckle(rng) + gain, 0, 255).astype(np.uint8)


NOISES = (even, speckle, flickering)


def probability(loop: Loop, models: Models) -> float | None:
    try:
        return measure(loop, models, Recipe()).diagnosis.malignant_probability
    except RefusedError:
        return None


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("panes", ["dual", "single"])
def test_pure_noise(
    noise: Callable[[np.random.Generator], NDArray[np.uint8]], panes: str, models: Models
) -> None:
    rng = np.random.default_rng(7)
    bmode = noise(rng) if panes == "dual" else None
    assert probability(loop_of(noise(rng), bmode), models) is None


def test_noise_that_swells_like_a_bolus(models: Models) -> None:
    """Noise in both panes, the contrast's as bright over time as an injection would make it."""
    rng = np.random.default_rng(8)
    since = np.maximum(np.arange(SHAPE[0]) / 1.5 - 10.0, 1e-3)
    swell = 60 * np.exp(-0.5 * np.log(since / 12.0) ** 2 / 0.4)
    contrast = np.clip(speckle(rng) - 60.0 + swell[:, None, None], 0, 255).astype(np.uint8)
    assert probability(loop_of(contrast, speckle(rng)), models) is None


@pytest.mark.parametrize("layout", ["mono-left", "stacked", "single"])
def test_an_exam_without_a_bolus(layout: str, models: Models) -> None:
    assert probability(without_contrast(21, layout=layout).loop, models) is None


def test_a_bmode_loop(models: Models) -> None:
    assert probability(bmode_only(22).loop, models) is None


def test_a_black_screen(models: Models) -> None:
    black = np.zeros(SHAPE, np.uint8)
    assert probability(loop_of(black, black), models) is None


@pytest.mark.parametrize("order", ["backwards", "shuffled"])
def test_the_frames_of_a_bolus_out_of_order(order: str, models: Models) -> None:
    loop = simulate(recipe_for("malignant", 61, preset="small", layout="mono-left")).loop
    frames = np.arange(len(loop.times_s))
    frames = frames[::-1] if order == "backwards" else np.random.default_rng(0).permutation(frames)
    assert probability(replace(loop, contrast=loop.contrast[frames]), models) is None
