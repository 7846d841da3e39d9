"""Tinted pixels go back to the grey level that the scanner coloured."""

from types import ModuleType

import imagecodecs
import numpy as np
import pytest

from dicomnode.dicom.box import Box
from dicomnode.dicom.decode.samples import luma
from dicomnode.dicom.exam.colour import KNOWN_MAPS, choose_map, find_bars, seen_colours
from dicomnode.dicom.exam.graphics import graphics_mask
from dicomnode.simulation.tints import TINTS
from dicomnode.simulation.tints import colours as simulated_tint

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


def known_tint(name: str) -> np.ndarray:
    knots = np.array(KNOWN_MAPS[name], float)
    channels = [np.interp(np.arange(256), knots[:, 0], knots[:, i]) for i in (1, 2, 3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


TINTED = {f"known {name}": known_tint(name) for name in KNOWN_MAPS} | {
    f"simulated {name}": simulated_tint(name) for name in TINTS
}


def through_jpeg(frames: np.ndarray) -> np.ndarray:
    coded = (imagecodecs.jpeg8_encode(frame, level=92, subsampling="422") for frame in frames)
    return np.stack([imagecodecs.jpeg8_decode(bytes(frame)) for frame in coded])


def off(grey_of_luma: np.ndarray, tint: np.ndarray) -> np.ndarray:
    """Grey levels by which each comes back wrong from its own colour."""
    return np.abs(grey_of_luma[luma(tint)].astype(int) - np.arange(256))


def wide_speckle(wrap: ModuleType) -> np.ndarray:
    """Grey levels over the whole scale, so that every colour of a map is seen."""
    return wrap.speckle(RNG, np.linspace(20, 160, FRAMES), ROWS, COLUMNS)


@pytest.mark.parametrize("name", KNOWN_MAPS)
def test_a_known_map_is_undone_as_far_as_eight_bits_of_luma_tell(
    wrap: ModuleType, name: str
) -> None:
    tint = known_tint(name)
    found = choose_map(colours(tint[wide_speckle(wrap)]), ())
    assert found.name == name
    wrong = off(found.grey_of_luma, tint)
    assert wrong.mean() <= 0.5
    assert wrong.max() <= 2  # amber's dark end: up to four grey levels share one luma


@pytest.mark.parametrize("name", TINTED)
@pytest.mark.parametrize("jpeg", [False, True], ids=["exact", "jpeg"])
def test_the_colour_bar_undoes_any_map(wrap: ModuleType, name: str, jpeg: bool) -> None:
    tint, grey = TINTED[name], wide_speckle(wrap)
    frames = with_bar(tint[grey], tint)
    frames = through_jpeg(frames) if jpeg else frames
    found = choose_map(colours(frames), find_bars(frames))
    wrong = off(found.grey_of_luma, tint)
    assert wrong.mean() <= 1
    # a bar of 100 rows shows every third grey level; compression blurs it
    assert wrong.max() <= (5 if jpeg else 3)


@pytest.mark.parametrize("name", TINTED)
def test_jpeg_disturbs_a_tinted_pane_less_than_twice_as_much_as_a_grey_one(
    wrap: ModuleType, name: str
) -> None:
    tint, grey = TINTED[name], wide_speckle(wrap)
    frames, plain = through_jpeg(with_bar(tint[grey], tint)), through_jpeg(wrap.grey_rgb(grey))
    found = choose_map(colours(frames), find_bars(frames))
    echoes = np.ones((ROWS, COLUMNS), bool)
    echoes[:, : BAR.column + 2 * BAR.columns] = False
    ours = found.grey_of_luma[luma(frames)].astype(int) - grey
    theirs = luma(plain).astype(int) - grey
    assert np.abs(ours[:, echoes]).mean() <= 2 * np.abs(theirs[:, echoes]).mean()


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
