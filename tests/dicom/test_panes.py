"""The contrast pane is found by what it shows."""

from types import ModuleType

import numpy as np
import pytest

from dicomnode.dicom.box import Box
from dicomnode.dicom.exam.panes import Panes, find_panes
from dicomnode.errors import Reason

ROWS, COLUMNS, FRAMES = 128, 144, 16
FIRST = Box(row=0, column=0, rows=ROWS, columns=COLUMNS)


@pytest.fixture(scope="module")
def grey(wrap: ModuleType) -> tuple[np.ndarray, np.ndarray]:
    """B-mode and contrast of one exam."""
    rng = np.random.default_rng(5)
    bmode = wrap.speckle(rng, np.full(FRAMES, 55.0), ROWS, COLUMNS)
    return bmode, wrap.speckle(rng, wrap.wash_in(FRAMES), ROWS, COLUMNS)


def find(frames: np.ndarray, *regions: Box, **options: object) -> Panes | Reason:
    told = {"duration_s": 60.0, "has_colour_flow": False, **options}
    return find_panes(frames, regions, **told)


@pytest.mark.parametrize("is_tinted", [True, False], ids=["amber", "grey"])
@pytest.mark.parametrize("axis", [2, 1], ids=["side by side", "one above the other"])
@pytest.mark.parametrize("contrast_first", [True, False])
@pytest.mark.parametrize("declared", [True, False], ids=["two regions", "one region"])
def test_two_panes(
    wrap: ModuleType,
    grey: tuple[np.ndarray, np.ndarray],
    is_tinted: bool,
    axis: int,
    contrast_first: bool,
    declared: bool,
) -> None:
    bmode, contrast = grey
    tint = wrap.amber if is_tinted else wrap.grey_rgb
    panes = [wrap.grey_rgb(bmode), tint(contrast)]
    frames = np.concatenate(panes[::-1] if contrast_first else panes, axis=axis)
    second = Box(
        row=ROWS if axis == 1 else 0,
        column=COLUMNS if axis == 2 else 0,
        rows=ROWS,
        columns=COLUMNS,
    )
    found = find(frames, *((FIRST, second) if declared else ()))
    assert isinstance(found, Panes), found
    assert found.layout == ("side by side" if axis == 2 else "one above the other")
    assert found.tinted == is_tinted
    expected = FIRST if contrast_first else second
    assert found.contrast.overlap(expected) >= 0.95 * expected.area
    assert found.bmode is not None
    assert (found.bmode.rows, found.bmode.columns) == (found.contrast.rows, found.contrast.columns)


@pytest.mark.parametrize("is_tinted", [True, False], ids=["amber", "grey"])
def test_a_single_pane_that_washes_in(
    wrap: ModuleType, grey: tuple[np.ndarray, np.ndarray], is_tinted: bool
) -> None:
    frames = (wrap.amber if is_tinted else wrap.grey_rgb)(grey[1])
    found = find(frames, FIRST)
    assert isinstance(found, Panes), found
    assert found.layout == "single"
    assert found.contrast == FIRST
    assert found.bmode is None


def test_moving_grey_tissue_is_b_mode(
    wrap: ModuleType, grey: tuple[np.ndarray, np.ndarray]
) -> None:
    found = find(wrap.grey_rgb(grey[0]), FIRST)
    assert isinstance(found, Reason)
    assert "no pane washes in" in found.text


def test_what_brightens_within_a_second_is_no_bolus(
    wrap: ModuleType, grey: tuple[np.ndarray, np.ndarray]
) -> None:
    assert isinstance(find(wrap.grey_rgb(grey[1]), FIRST, duration_s=1.0), Reason)


def test_red_and_blue_patches_are_doppler(
    wrap: ModuleType, grey: tuple[np.ndarray, np.ndarray]
) -> None:
    frames = wrap.grey_rgb(grey[0])
    flow = grey[1][:, 30:90, 30:90]
    frames[:, 30:60, 30:90] = 0
    frames[:, 60:90, 30:90] = 0
    frames[:, 30:60, 30:90, 0] = np.maximum(flow[:, :30] * 3, 80)
    frames[:, 60:90, 30:90, 2] = np.maximum(flow[:, 30:] * 3, 80)
    found = find(frames, FIRST)
    assert isinstance(found, Reason)
    assert "colour Doppler" in found.text


def test_a_declared_colour_flow_region_is_doppler(
    wrap: ModuleType, grey: tuple[np.ndarray, np.ndarray]
) -> None:
    found = find(wrap.amber(grey[1]), FIRST, has_colour_flow=True)
    assert isinstance(found, Reason)
    assert "colour Doppler" in found.text
