import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter, map_coordinates

from dicomnode.science import interpolation, sampling
from dicomnode.science.curves import bin_times
from dicomnode.science.sampling import SATURATED_GREY, Motion, bin_frames, mean_power, swept
from parts import numpy_fit

RANGE_DB = 60.0


def moved(shift_px):
    frames = len(shift_px)
    return Motion(
        shift_px=np.asarray(shift_px, float), ncc=np.ones(frames), kept=np.ones(frames, bool),
        reference=0, source="bmode",
    )  # fmt: skip


def scene(frames=7, rows=20, columns=31, brightest=250, seed=0):
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, brightest, (frames, rows, columns), dtype=np.uint8)
    mask = rng.random((rows, columns)) > 0.4
    return grey, mask


def power(grey):
    return 10 ** (RANGE_DB * grey.astype(float) / 2550)


def one_frame_each(frames):
    return bin_times(np.arange(float(frames)), frames)


def test_samples_are_scipys_interpolation_of_echo_power_beyond_the_edge_too():
    grey, mask = scene()
    shift_px = np.random.default_rng(1).uniform(-4, 4, (7, 2))
    shift_px[0], shift_px[5], shift_px[6] = 0, (-40, 50), (3, -2)
    found = bin_frames(grey, moved(shift_px), mask, one_frame_each(7), RANGE_DB)
    rows, columns = np.nonzero(mask)
    expected = [
        map_coordinates(power(frame), [rows + r, columns + c], order=1, mode="nearest")
        for frame, (r, c) in zip(grey, shift_px, strict=True)
    ]
    np.testing.assert_allclose(found.total, expected, rtol=2e-5)
    assert found.count.shape == (7, 1)


def test_frames_of_a_bin_are_added_and_those_left_out_are_not():
    grey, mask = scene(12)
    kept = np.arange(12) != 4
    bins = bin_times(np.arange(12.0), 5, kept=kept)
    found = bin_frames(grey, moved(np.zeros((12, 2))), mask, bins, RANGE_DB)
    assert found.count.sum() == 11
    np.testing.assert_allclose(
        found.total.sum(axis=0), power(grey[kept]).sum(axis=0)[mask], rtol=1e-4
    )


def test_a_saturated_sample_is_not_counted_where_motion_puts_it():
    grey, mask = scene(3, brightest=SATURATED_GREY)
    grey[1, 8, 9] = SATURATED_GREY
    mask[:] = True
    shift_px = [(0, 0), (2, 0.25), (0, 0)]
    found = bin_frames(grey, moved(shift_px), mask, one_frame_each(3), RANGE_DB)
    censored = (1 - found.count).reshape(3, *mask.shape)
    np.testing.assert_allclose(censored[1, 6, 8:10], [0.25, 0.75], atol=1e-6)
    assert censored.sum() == pytest.approx(1)


def test_smoothing_sums_is_summing_smoothed_frames_and_lets_nothing_in_from_outside():
    grey, mask = scene(6)
    bins = bin_times(np.arange(6.0), 2)
    found = bin_frames(grey, moved(np.zeros((6, 2))), mask, bins, RANGE_DB, smoothing_px=1.0)
    weight = gaussian_filter(mask.astype(float), 1.0, mode="constant")
    frames = [
        gaussian_filter(np.where(mask, image, 0), 1.0, mode="constant") / np.maximum(weight, 1e-6)
        for image in power(grey)
    ]
    expected = np.add.reduceat(np.array(frames)[:, mask], bins.starts, axis=0)
    np.testing.assert_allclose(found.total, expected, rtol=1e-4)


def test_mean_power_is_the_mean_of_each_label_in_every_frame():
    grey, _ = scene(5)
    labels = np.zeros(grey.shape[1:], np.uint8)
    labels[2:6, 3:9], labels[10:12, 20:25] = 1, 3
    found = mean_power(grey, moved(np.zeros((5, 2))), labels, RANGE_DB)
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found[:, 0], power(grey)[:, 2:6, 3:9].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found[:, 2], power(grey)[:, labels == 3].mean(axis=1), rtol=1e-5)
    assert np.isnan(found[:, 1]).all()


def test_the_compiled_loops_give_the_samples_of_numpy(monkeypatch):
    grey, mask = scene(6, brightest=255)
    shift_px = np.random.default_rng(1).uniform(-30, 30, (6, 2))
    labels = mask.astype(np.uint8)

    def sampled():
        binned = bin_frames(grey, moved(shift_px), mask, one_frame_each(6), RANGE_DB)
        return binned.total, binned.count, mean_power(grey, moved(shift_px), labels, RANGE_DB)

    compiled = sampled()
    monkeypatch.setattr(interpolation, "_add", numpy_fit.add)
    monkeypatch.setattr(sampling, "sums_by_label", numpy_fit.sums_by_label)
    for one, other in zip(compiled, sampled(), strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-5, atol=1e-6)


@settings(max_examples=50)
@given(
    shift_px=arrays(np.float64, (3, 2), elements=st.floats(-100, 100)),
    row=st.integers(0, 9),
    column=st.integers(0, 12),
)
def test_one_pixel_anywhere_moved_anywhere_is_a_sample_of_the_pane(shift_px, row, column):
    grey, _ = scene(3, 10, 13)
    mask = np.zeros((10, 13), bool)
    mask[row, column] = True
    found = bin_frames(grey, moved(shift_px), mask, one_frame_each(3), RANGE_DB, smoothing_px=1)
    low, high = power(grey).min(axis=(1, 2)), power(grey).max(axis=(1, 2))
    assert (found.total[:, 0] >= low * (1 - 1e-4)).all()
    assert (found.total[:, 0] <= high * (1 + 1e-4)).all()


@pytest.mark.parametrize(
    ("frames", "mask", "range_db", "words"),
    [
        (np.zeros((3, 8, 9), np.float32), np.ones((8, 9), bool), 60, "frames: expected uint8"),
        (np.zeros((2, 8, 9), np.uint8), np.ones((8, 9), bool), 60, r"frames: .* \(3, R, C\)"),
        (np.zeros((3, 8, 9), np.uint8), np.ones((9, 8), bool), 60, "mask: expected shape"),
        (np.zeros((3, 8, 9), np.uint8), np.zeros((8, 9), bool), 60, "mask: expected at least one"),
        (np.zeros((3, 8, 9), np.uint8), np.ones((8, 9), bool), 0, "dynamic_range_db: expected"),
    ],
)
def test_what_cannot_be_sampled_is_refused_by_name(frames, mask, range_db, words):
    motion = moved(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=words):
        bin_frames(frames, motion, mask, one_frame_each(3), range_db)


def test_what_stays_on_the_screen_is_found_wherever_tissue_moved_below_it():
    fixed = np.zeros((20, 24), bool)
    fixed[9:11, 12] = True
    shift_px = np.array([[0.0, 0.0], [3.2, -2.0], [-6.0, 9.0]])
    motion = Motion(
        shift_px=shift_px, ncc=np.ones(3), kept=np.array([True, True, False]), reference=0,
        source="contrast",
    )  # fmt: skip
    found = swept(fixed, motion)
    seen = np.zeros_like(fixed)
    for down, along in ((0, 0), (3, -2)):  # a pixel shows what lies at its place plus the shift
        seen[9 - down : 11 - down, 12 - along] = True
    assert found[seen].all()
    assert not found[9:11, 3].any()
    assert found.sum() < 30
