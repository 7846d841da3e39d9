import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dicomnode.science.curves import Binned
from dicomnode.science.findings import UNRELIABLE
from dicomnode.science.kinetics import lognormal
from dicomnode.science.subregions.borders import redraw

PSF_PX = 0.8


def blurred_bands(seed=0, gain=1.0):
    """A dark and a bright sub-region that mix at their border, each pixel with speckle of its own.

    Returns labels, mask, and samples of the pixels.
    """
    labels = np.ones((24, 30), np.uint8)
    labels[:, 15:] = 2
    times_s = np.linspace(0, 60, 60)
    curves = 1 + lognormal(times_s, np.array([[20.0], [2000.0]]), 2.9, 0.7, 5.0)
    shares = ndimage.gaussian_filter((labels == 2).astype(float), PSF_PX, mode="nearest")
    mean = curves[0] * (1 - shares[..., None]) + curves[1] * shares[..., None]
    rng = np.random.default_rng(seed)
    field = rng.normal(size=(2, *mean.shape))
    # the field's spread is wider than that of its power by the root of two
    field = ndimage.gaussian_filter(field, PSF_PX * np.sqrt(2), mode="wrap", axes=(1, 2))
    speckle = (field**2).sum(axis=0) / (field**2).sum(axis=0).mean()
    mask = np.zeros(labels.shape, bool)
    mask[2:-2, 2:-2] = True
    total = (gain * mean * speckle)[mask].T
    return np.where(mask, labels, 0).astype(np.uint8), mask, Binned(
        times_s=times_s, total=total, count=np.ones((60, 1))
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_border_drawn_on_the_dark_side_is_put_back(seed):
    truth, mask, samples = blurred_bands(seed)
    shifted = np.where(mask, np.roll(truth, -1, axis=1), 0).astype(np.uint8)
    shifted[mask & (shifted == 0)] = 2
    found = redraw(shifted, samples, mask, 5, 1.2)
    assert (found != truth).mean() < 0.25 * (shifted != truth).mean()
    assert (found[~mask] == 0).all()


@settings(max_examples=10)
@given(gain=st.floats(1e-6, 1e9))
def test_gain_does_not_move_a_border(gain):
    labels, mask, samples = blurred_bands()
    _, _, louder = blurred_bands(gain=gain)
    np.testing.assert_array_equal(
        redraw(labels, samples, mask, 5, 1.2), redraw(labels, louder, mask, 5, 1.2)
    )


def test_redrawing_leaves_alone_what_has_no_sub_region_or_only_one():
    labels, mask, samples = blurred_bands()
    labels[10:12, 14:16] = UNRELIABLE
    found = redraw(labels, samples, mask, 5, 1.2)
    np.testing.assert_array_equal(found == UNRELIABLE, labels == UNRELIABLE)
    alone = np.where(mask, 3, 0).astype(np.uint8)
    np.testing.assert_array_equal(redraw(alone, samples, mask, 5, 1.2), alone)
    with pytest.raises(ValueError, match="the samples of the mask's 520 pixels"):
        redraw(labels, samples.of(np.arange(520) < 9), mask, 5, 1.2)


def test_bins_that_lost_all_samples_do_not_count():
    labels, mask, samples = blurred_bands()
    often = np.ones(60)
    often[20:25] = 0
    found = redraw(labels, samples.weighted(often), mask, 5, 1.2)
    assert (found == labels).mean() > 0.98


@pytest.mark.parametrize("kept", [1, 2])
def test_a_bin_or_two_are_enough_for_a_defined_answer(kept):
    labels, mask, samples = blurred_bands()
    few = Binned(times_s=samples.times_s[:kept], total=samples.total[20 : 20 + kept],
                 count=np.ones((kept, 1)))  # fmt: skip
    found = redraw(labels, few, mask, 5, 1.2)
    assert ((found > 0) == mask).all()
