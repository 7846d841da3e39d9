"""Texture on IBSI's digital phantom, with the values of its manual, and in general."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dicomnode.science.texture import LEVELS, co_occurrence, described, discretised, texture

N = 0
PHANTOM = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [N, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, N, N], [1, 1, 1, 1, 1], [1, 1, N, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, N, N], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ]
)
"""Four slices; 0 lies outside of the region."""
SPACING_MM = (0.2, 0.3)


def test_the_digital_phantom_has_the_values_of_the_reference_manual() -> None:
    """In two dimensions, each direction and slice by itself, averaged."""
    found = described([m for plane in PHANTOM for m in co_occurrence(plane - 1, 6)])
    assert found.contrast == pytest.approx(5.28, abs=0.005)
    assert found.correlation == pytest.approx(-0.0121, abs=0.00005)
    assert found.entropy == pytest.approx(2.05, abs=0.005)


def test_neighbours_are_those_of_the_region_and_of_four_directions() -> None:
    levels = np.array([[0, 1], [2, -1]])
    matrices = list(co_occurrence(levels, 3))
    assert len(matrices) == 3
    pairs = [{tuple(sorted(pair)) for pair in np.argwhere(each).tolist()} for each in matrices]
    assert pairs == [{(0, 1)}, {(0, 2)}, {(1, 2)}]
    for each in matrices:
        np.testing.assert_array_equal(each, each.T)
        assert each.sum() == pytest.approx(1)


def test_bins_are_equal_and_outliers_are_held() -> None:
    values = np.linspace(0, 1, 1600).reshape(40, 40)
    mask = np.ones(values.shape, bool)
    assert np.bincount(discretised(values, mask).ravel()).tolist() == [100] * LEVELS
    values[0, 0] = 1e6
    assert np.bincount(discretised(values, mask).ravel())[-1] == 1


def test_gain_does_not_matter_and_coarse_is_not_fine() -> None:
    rng = np.random.default_rng(2)
    mask = np.ones((60, 60), bool)
    fine = rng.normal(size=mask.shape)
    coarse = np.repeat(np.repeat(rng.normal(size=(10, 10)), 6, axis=0), 6, axis=1)
    one, other = texture(fine, mask, SPACING_MM), texture(3 * fine - 7, mask, SPACING_MM)
    patches = texture(coarse, mask, SPACING_MM)
    assert one is not None and patches is not None  # noqa: PT018
    assert one == other
    assert abs(one.correlation) < 0.1
    assert patches.correlation > 0.4
    assert patches.contrast < one.contrast


@settings(max_examples=60)
@given(
    values=arrays(np.float64, (7, 6), elements=st.floats(-1e6, 1e6) | st.just(np.nan)),
    mask=arrays(bool, (7, 6)),
)
def test_whatever_the_map_holds_the_texture_is_finite_or_none(
    values: np.ndarray, mask: np.ndarray
) -> None:
    found = texture(values, mask, (0.6, 0.6))
    if found is not None:
        assert 0 <= found.entropy <= 2 * np.log2(LEVELS)
        assert -1.0001 <= found.correlation <= 1.0001
        assert 0 <= found.contrast <= (LEVELS - 1) ** 2


def test_a_level_map_has_no_texture_and_an_empty_one_none() -> None:
    mask = np.ones((5, 5), bool)
    level = texture(np.ones((5, 5)), mask, SPACING_MM)
    assert level is not None
    assert (level.contrast, level.correlation, level.entropy) == (0, 1, 0)
    assert texture(np.ones((5, 5)), ~mask, SPACING_MM) is None
    assert texture(np.full((5, 5), np.nan), mask, SPACING_MM) is None
