from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from dicomnode.science.regions import (
    area_mm2,
    axes_mm,
    enhanced_region,
    enlargement_ratio,
    outlines,
    reference_tissue,
    ring,
)

SHAPE = (200, 240)
SPACING_MM = (0.2, 0.1)
ROW_MM, COLUMN_MM = np.meshgrid(np.arange(SHAPE[0]) * 0.2, np.arange(SHAPE[1]) * 0.1, indexing="ij")


def ellipse(row_mm=20.0, column_mm=12.0, half_rows_mm=5.0, half_columns_mm=3.0, turn_deg=0.0):
    turn = np.deg2rad(turn_deg)
    down, right = ROW_MM - row_mm, COLUMN_MM - column_mm
    along = down * np.cos(turn) + right * np.sin(turn)
    across = right * np.cos(turn) - down * np.sin(turn)
    return (along / half_rows_mm) ** 2 + (across / half_columns_mm) ** 2 <= 1


def test_the_ring_is_all_within_its_width_and_outside_the_mask():
    mask = ellipse()
    around = ring(mask, SPACING_MM, 3.0)
    distance = ndimage.distance_transform_edt(~mask, sampling=SPACING_MM)
    assert np.array_equal(around, (distance > 0) & (distance <= 3.0))
    assert not (around & mask).any()


def test_the_ring_is_as_wide_in_millimetres_in_rows_as_in_columns():
    around = ring(ellipse(), SPACING_MM, 2.0)
    below = np.flatnonzero(around[:, 120]).max() * 0.2 - 25.0
    beside = np.flatnonzero(around[100]).max() * 0.1 - 15.0
    assert below == pytest.approx(2.0, abs=0.2)
    assert beside == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("turn_deg", [0, 20, 45, 90, 130])
def test_axes_of_an_ellipse_at_any_angle(turn_deg):
    long_mm, short_mm = axes_mm(ellipse(turn_deg=turn_deg), SPACING_MM)
    assert long_mm == pytest.approx(10.0, abs=0.3)
    assert short_mm == pytest.approx(6.0, abs=0.3)


def test_axes_and_outline_of_one_pixel():
    mask = np.zeros((9, 9), bool)
    mask[4, 5] = True
    assert axes_mm(mask, (0.2, 0.1)) == pytest.approx((0.2, 0.1))
    (outline,) = outlines(mask)
    np.testing.assert_allclose(outline.mean(axis=0), (4, 5), atol=0.2)


def test_axes_grow_with_the_spacing():
    double = axes_mm(ellipse(), (0.4, 0.2))
    assert double == pytest.approx(tuple(2 * axis for axis in axes_mm(ellipse(), SPACING_MM)))


def enclosed(polygon):
    rows, columns = polygon.T
    return 0.5 * abs(np.sum(rows[:-1] * columns[1:] - rows[1:] * columns[:-1]))


def test_outlines_enclose_the_mask_largest_first_without_holes():
    mask = ellipse()
    mask[98:102, 118:122] = False
    mask[10:14, 10:16] = True
    large, small = outlines(mask)
    assert np.array_equal(large[0], large[-1])
    assert enclosed(large) == pytest.approx(ellipse().sum(), rel=0.03)
    assert enclosed(small) == pytest.approx(24 - 0.5, abs=0.1)
    assert small[:, 0].min() == 9.5
    assert small[:, 1].max() == 15.5


def test_the_outline_of_a_mask_at_the_edge_is_closed():
    (outline,) = outlines(np.ones((4, 6), bool))
    assert np.array_equal(outline[0], outline[-1])


def test_there_is_no_outline_of_nothing():
    assert outlines(np.zeros((5, 5), bool)) == ()


@given(hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_geometry_holds_for_any_mask(mask):
    if not mask.any():
        return
    long_mm, short_mm = axes_mm(mask, (1.0, 1.0))
    assert 1 <= long_mm <= np.hypot(*mask.shape)
    assert 0 < short_mm <= long_mm + 1e-9
    assert outlines(mask)
    assert not (ring(mask, (1.0, 1.0), RING_MM) & mask).any()


def images(lesion_rise, tissue_rise, *, enhanced=None, tissue=None):
    rise = np.full(SHAPE, 0.01)
    rise[np.ones(SHAPE, bool) if tissue is None else tissue] = tissue_rise
    rise[ellipse() if enhanced is None else enhanced] = lesion_rise
    noise = np.random.default_rng(0).normal(0, 0.01, SHAPE)
    return {
        "contrast_start": np.full(SHAPE, 0.05, np.float32),
        "contrast_mean": (0.05 + rise / 2 + noise).astype(np.float32),
        "contrast_max": (0.05 + rise + noise).astype(np.float32),
    }


NOTHING = np.zeros(SHAPE, bool)
RING_MM = 3.0


def tissue_beside(images, lesion, excluded):
    return reference_tissue(images, lesion, excluded, SPACING_MM, RING_MM)


def test_reference_tissue_enhances_at_the_depth_of_the_lesion():
    tissue = COLUMN_MM > 17
    found = tissue_beside(images(0.4, 0.2, tissue=tissue), ellipse(), NOTHING)
    assert area_mm2(found, SPACING_MM) >= 15
    assert (found & tissue).sum() / found.sum() > 0.95
    assert not (found & (ellipse() | ring(ellipse(), SPACING_MM, RING_MM))).any()
    assert np.abs(ROW_MM[found] - 20.0).max() <= 5.0


def test_reference_tissue_is_never_what_was_excluded():
    excluded = COLUMN_MM > 15
    found = tissue_beside(images(0.4, 0.2), ellipse(), excluded)
    assert found.any()
    assert not (found & excluded).any()


def test_reference_tissue_is_looked_for_at_other_depths_where_none_enhances_beside():
    tissue = ROW_MM > 30
    found = tissue_beside(images(0.4, 0.2, tissue=tissue), ellipse(), NOTHING)
    assert (found & tissue).sum() / found.sum() > 0.9


def test_a_wide_ring_loses_nothing_to_reference_tissue():
    found = reference_tissue(images(0.4, 0.2), ellipse(), NOTHING, SPACING_MM, 8.0)
    assert found.any()
    assert not (found & ring(ellipse(), SPACING_MM, 8.0)).any()


def test_no_reference_tissue_where_the_lesion_fills_the_pane():
    full = np.ones(SHAPE, bool)
    assert not tissue_beside(images(0.4, 0.2), full, NOTHING).any()


@pytest.mark.parametrize("grown_mm", [0.0, 0.5, 1.0])
def test_enlargement_is_the_ratio_of_areas(grown_mm):
    lesion = ellipse()
    enhanced = ellipse(half_rows_mm=5.0 + grown_mm, half_columns_mm=3.0 + grown_mm)
    shown = images(0.5, 0.1, enhanced=enhanced)
    found = enhanced_region(shown, lesion, ~enhanced & (COLUMN_MM > 18), SPACING_MM)
    truth = enhanced.sum() / lesion.sum()
    assert enlargement_ratio(found, lesion) == pytest.approx(truth, rel=0.08)


def test_no_enlargement_where_the_lesion_enhances_no_more_than_the_tissue():
    found = enhanced_region(images(0.2, 0.2), ellipse(), COLUMN_MM > 18, SPACING_MM)
    assert enlargement_ratio(found, ellipse()) is None


@pytest.mark.parametrize("function", [partial(ring, width_mm=RING_MM), axes_mm])
def test_an_empty_mask_is_named(function):
    with pytest.raises(ValueError, match=r"mask: expected at least one pixel .* \(200, 240\)"):
        function(NOTHING, SPACING_MM)


def test_an_impossible_spacing_is_named():
    with pytest.raises(ValueError, match=r"spacing_mm: expected millimetres above 0"):
        ring(ellipse(), (0.0, 0.1), RING_MM)
