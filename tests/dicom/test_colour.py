"""Tinted pixels go back to the grey level that the scanner coloured."""

from types import ModuleType

import numpy as np
import pytest

from dicomnode.dicom.box import Box
from dicomnode.dicom.decode.samples import luma
from dicomnode.dicom.exam.colour import choose_map, find_bars, seen_colours
from dicomnode.dicom.exam.graphics import graphics_mask

RNG = np.random.default_rng(3)
ROWS, COLUMNS, FRAMES = 160, 200, 12
BAR = Box(row=20, column=4, rows=100, columns=8)
KNEE = np.concatenate([np.linspace(0, 180, 100), np.linspace(181, 250, 156)]).astype(np.uint8)
"""A post-processing curve: displayed brightness is not the measured grey level."""


def clip(tint: np.ndarray, wrap: ModuleType) -> tuple[np.ndarray, np.ndarray]:
    """Grey levels (T, R, C) and the same in the colours of ``tint`` (256, 3)."""
    grey = wrap.speckle(RNG, np.linspace(10, 60, FRAMES), ROWS, COLUMNS)
    return grey, tint[grey]


def with_bar(frames: np.ndarray, tint: np.ndarray) -> np.ndarray:
    ramp = np.rint(np.linspace(255, 0, BAR.rows)).astype(int)
    frames = frames.copy()
    frames[:, BAR.slices[0], BAR.slices[1]] = tint[ramp][:, None]
    return frames


def colours(frames: np.ndarray) -> np.ndarray:
    return seen_colours(frames, np.ptp(frames[..., 0], axis=0) > 24)


@pytest.mark.parametrize("curve", [np.arange(256), KNEE], ids=["even", "knee"])
def test_the_colour_bar_undoes_any_display_curve(wrap: ModuleType, curve: np.ndarray) -> None:
    tint = wrap.amber(curve)
    _, frames = clip(tint, wrap)
    frames = with_bar(frames, tint)
    bars = find_bars(frames)
    assert len(bars) == 1
    assert abs(bars[0].box.row - BAR.row) <= 1
    assert bars[0].box.columns == BAR.columns
    found = choose_map(colours(frames), bars)
    assert found.name == "amber, read from the colour bar" or curve is KNEE
    error = found.grey_of_luma[luma(tint[30:240])].astype(int) - np.arange(30, 240)
    assert np.abs(error).max() <= 5


def test_without_a_bar_a_known_map_is_told_by_its_colours(wrap: ModuleType) -> None:
    tint = wrap.amber(np.arange(256))
    grey, frames = clip(tint, wrap)
    found = choose_map(colours(frames), ())
    assert found.name == "amber"
    assert found.warning is None
    assert np.abs(found.grey_of_luma[luma(frames)].astype(int) - grey).max() <= 12


def test_an_unknown_tint_keeps_its_order_and_warns(wrap: ModuleType) -> None:
    level = np.arange(256)
    green = np.stack([level // 4, level, level // 3], axis=1).astype(np.uint8)
    _, frames = clip(green, wrap)
    found = choose_map(colours(frames), ())
    assert found.name == "unknown tint"
    assert found.warning is not None
    assert np.all(np.diff(found.grey_of_luma.astype(int)) >= 0)


def test_grey_is_left_alone(wrap: ModuleType) -> None:
    _, frames = clip(wrap.grey_rgb(np.arange(256, dtype=np.uint8)), wrap)
    np.testing.assert_array_equal(choose_map(colours(frames), ()).grey_of_luma, np.arange(256))


def test_no_bar_is_seen_in_echoes_text_or_black(wrap: ModuleType) -> None:
    _, frames = clip(wrap.amber(np.arange(256)), wrap)
    frames[:, 5:15, 30:90] = (250, 250, 250)
    frames[:, 100:, 100:] = 0
    assert find_bars(frames) == ()


def test_ink_is_masked_and_echoes_are_not(wrap: ModuleType) -> None:
    tint = wrap.amber(np.arange(256))
    _, frames = clip(tint, wrap)
    frames = with_bar(frames, tint)
    badge, tick = (slice(5, 15), slice(60, 75)), (slice(140, 143), slice(180, 190))
    frames[:, badge[0], badge[1]] = (150, 235, 245)
    frames[:, tick[0], tick[1]] = (230, 230, 230)
    pane = Box(row=0, column=0, rows=ROWS, columns=COLUMNS)
    ink = graphics_mask(frames, pane, colours(frames), find_bars(frames))
    for burned in (badge, tick, BAR.slices):
        assert ink[burned].all()
    assert ink.mean() < 0.08
