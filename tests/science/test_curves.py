import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.science.curves import (
    bin_power,
    bin_times,
    smooth_masked,
    wash_in,
)


@given(frames=st.integers(1, 400), n=st.integers(1, 120), seed=st.integers(0, 99))
def test_every_kept_frame_is_in_exactly_one_bin(frames, n, seed):
    rng = np.random.default_rng(seed)
    times_s = np.cumsum(rng.uniform(0.05, 0.2, frames))
    kept = rng.random(frames) > 0.2
    bins = bin_times(times_s, n, kept=kept, wash_in_s=(times_s[0] + 3, times_s[0] + 9))
    assert bins.counts.sum() == np.count_nonzero(kept)
    assert (bins.counts > 0).all()
    assert bins.times_s.size <= max(n + 2, 1) or bins.times_s.size <= frames
    np.testing.assert_allclose((bins.times_s * bins.counts).sum(), times_s[kept].sum())


def test_wash_in_gets_finer_bins():
    times_s = np.arange(600) * 0.1
    bins = bin_times(times_s, 75, wash_in_s=(10.0, 20.0))
    during = (bins.times_s > 10) & (bins.times_s < 20)
    assert bins.counts[during].mean() < bins.counts[~during].mean() / 2
    assert 70 <= bins.times_s.size <= 78


def test_no_bin_bridges_a_gap_between_clips():
    times_s = np.concatenate([np.arange(100) * 0.1, 60 + np.arange(100) * 0.1])
    bins = bin_times(times_s, 9)
    spans = [times_s[part].max() - times_s[part].min()
             for part in np.split(bins.frames, bins.starts[1:])]  # fmt: skip
    assert max(spans) < 10


def test_wash_in_of_a_ramp_and_plateau():
    times_s = np.arange(300) * 0.2
    curve = 1 + np.interp(times_s, [10, 20, 22, 60], [0, 100, 100, 20])
    curve[40:43] = np.nan
    onset_s, peak_s = wash_in(curve, times_s)
    assert onset_s == pytest.approx(11, abs=1.5)
    assert peak_s == pytest.approx(21, abs=1.5)


def test_binned_sums_leave_out_what_is_no_power():
    power = np.arange(12, dtype=np.float32).reshape(6, 2) + 1
    power[1, 0], power[2, 1], power[3, 1] = np.nan, -4, np.inf
    bins = bin_times(np.arange(6.0), 3)
    binned = bin_power(power, bins)
    assert binned.total.sum() == np.nansum(np.where((power > 0) & (power < 1e9), power, 0))
    assert binned.count.sum() == 9


def test_a_saturated_sample_adds_power_but_is_not_counted():
    power = np.full((4, 1), 10.0, np.float32)
    bins = bin_times(np.arange(4.0), 4)
    binned = bin_power(power, bins, uncensored=np.array([[1], [0], [0.5], [1]], np.float32))
    np.testing.assert_array_equal(binned.total, [[10], [10], [10], [10]])
    np.testing.assert_array_equal(binned.count, [[1], [0], [0.5], [1]])


def test_smoothing_keeps_a_constant_and_lets_nothing_in_from_outside():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 8:20] = True
    image = np.where(mask, 7.0, 1e6)
    smooth = smooth_masked(image[None], mask)[0]
    np.testing.assert_allclose(smooth[mask], 7.0, rtol=1e-5)
    assert (smooth[~mask] == 0).all()
