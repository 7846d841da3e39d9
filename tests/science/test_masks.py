"""Boxes and openings against what scipy makes of whole images."""

import numpy as np
import pytest
from scipy import ndimage

from dicomnode.science.masks import box_around, opened


@pytest.mark.parametrize("radius_px", [0, 1, 4, 9, 40])
def test_an_opening_is_scipys_by_a_disc(radius_px: int) -> None:
    rng = np.random.default_rng(radius_px)
    steps = np.arange(-radius_px, radius_px + 1)
    disc = np.hypot(*np.meshgrid(steps, steps)) <= radius_px
    for _ in range(20):
        mask = ndimage.gaussian_filter(rng.normal(size=(60, 45)), 3) > 0
        assert np.array_equal(opened(mask, radius_px), ndimage.binary_opening(mask, disc))


def test_a_box_holds_all_of_a_mask_and_no_more() -> None:
    mask = np.zeros((9, 12), np.bool_)
    mask[3, 4] = mask[6, 10] = True
    assert box_around(mask) == (slice(3, 7), slice(4, 11))
    assert mask[box_around(mask)].sum() == 2


def test_a_margin_ends_at_the_images_edge() -> None:
    mask = np.zeros((9, 12), np.bool_)
    mask[1:8, 2:11] = True
    rows, columns = box_around(mask, 3)
    assert mask[rows, columns].shape == (9, 12)
    assert (rows.start, columns.start) == (0, 0)
