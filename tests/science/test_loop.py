import numpy as np
import pytest

from dicomnode.science.loop import (
    Loop,
    estimate_dynamic_range_db,
    linearise,
    saturated,
    static_bright,
    summary_images,
)
from dicomnode.science.sampling import Motion


def loop_of(contrast, *, bmode=None, interval_s=0.5, spacing_mm=(0.25, 0.25)):
    return Loop(
        contrast=contrast,
        bmode=bmode,
        times_s=np.arange(len(contrast)) * interval_s,
        spacing_mm=spacing_mm,
        graphics=np.zeros(contrast.shape[1:], bool),
    )


def still(frames, kept=None):
    return Motion(
        shift_px=np.zeros((frames, 2)),
        ncc=np.ones(frames),
        kept=np.ones(frames, bool) if kept is None else kept,
        reference=frames - 1,
        source="bmode",
    )


def test_linearise_is_the_stated_formula():
    grey = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(linearise(grey, 50.0), 10 ** (50.0 * grey / 2550.0), rtol=1e-6)


def test_a_gain_in_decibels_is_a_factor_of_power():
    grey = np.arange(0, 200, dtype=np.uint8).reshape(10, 20)
    np.testing.assert_allclose(
        linearise(grey + np.uint8(51), 60.0) / linearise(grey, 60.0), 10**1.2, rtol=1e-5
    )


@pytest.mark.parametrize("dynamic_range_db", [0.0, -60.0, float("nan"), 1000.0])
def test_linearise_names_an_impossible_dynamic_range(dynamic_range_db):
    with pytest.raises(ValueError, match=r"dynamic_range_db: expected 0 to 200 dB"):
        linearise(np.zeros(3, np.uint8), dynamic_range_db)


def test_linearise_wants_grey_levels():
    with pytest.raises(ValueError, match="grey: expected uint8 grey levels, got float64"):
        linearise(np.zeros(3), 60.0)


def test_saturated_includes_what_jpeg_made_of_255():
    assert saturated(np.array([253, 254, 255], np.uint8)).tolist() == [False, True, True]


@pytest.mark.parametrize("dynamic_range_db", [40.0, 60.0, 70.0])
def test_dynamic_range_is_estimated_from_fresh_speckle(dynamic_range_db):
    speckle = np.random.default_rng(4).exponential(size=(12, 100, 100))
    grey = 255 * (0.6 + 10 * np.log10(speckle) / dynamic_range_db)
    loop = np.clip(grey, 0, 255).astype(np.uint8)
    assert estimate_dynamic_range_db(loop) == pytest.approx(dynamic_range_db, rel=0.1)


def test_dynamic_range_is_not_estimated_from_nothing():
    assert estimate_dynamic_range_db(np.zeros((9, 50, 50), np.uint8)) is None
    assert estimate_dynamic_range_db(np.full((1, 50, 50), 90, np.uint8)) is None
    assert estimate_dynamic_range_db(np.full((9, 50, 50), 90, np.uint8)) is None


def ramp(arrival_frame):
    """A patch that rises from grey 10 to 110 at a known frame, in a pane that stays at 10."""
    contrast = np.full((40, 60, 60), 10, np.uint8)
    contrast[arrival_frame:, 20:40, 20:40] = 110
    return contrast


def test_summary_images_are_in_range_and_named():
    contrast = ramp(16)
    images = summary_images(loop_of(contrast, bmode=contrast), still(40))
    assert set(images) == {"bmode", "contrast_max", "contrast_mean", "contrast_start", "arrival"}
    for image in images.values():
        assert image.dtype == np.float32
        assert image.shape == (60, 60)
        assert image.min() >= 0
        assert image.max() <= 1


def test_a_single_pane_has_no_bmode_image():
    assert "bmode" not in summary_images(loop_of(ramp(16)), still(40))


def test_summary_images_show_when_and_how_much():
    images = summary_images(loop_of(ramp(16)), still(40))
    assert images["arrival"][30, 30] == pytest.approx(16 / 39, abs=0.03)
    assert images["arrival"][5, 5] == 1
    assert images["contrast_max"][30, 30] == pytest.approx(110 / 255, abs=1e-3)
    assert images["contrast_mean"][30, 30] == pytest.approx((16 * 10 + 24 * 110) / 40 / 255)
    assert images["contrast_start"][30, 30] == pytest.approx(10 / 255)


def test_frames_left_out_do_not_show_in_summary_images():
    contrast = ramp(16)
    contrast[8] = 255
    kept = np.arange(40) != 8
    images = summary_images(loop_of(contrast), still(40, kept))
    assert images["contrast_max"].max() == pytest.approx(110 / 255, abs=1e-3)


def test_summary_images_of_one_frame():
    images = summary_images(loop_of(ramp(16)[:1]), still(1))
    assert np.all(images["arrival"] == 1)


def test_static_bright_finds_the_skin_line_and_not_the_bolus():
    contrast = np.random.default_rng(2).integers(0, 30, (40, 120, 160), dtype=np.uint8)
    contrast[:, 6:16] = 200
    contrast[15:, 60:100, 40:120] += 120
    static = static_bright(contrast)
    assert static[8:14].all()
    assert not static[30:].any()


def test_nothing_is_static_bright_in_an_even_pane():
    assert not static_bright(np.full((5, 40, 40), 120, np.uint8)).any()
    assert not static_bright(np.zeros((1, 40, 40), np.uint8)).any()
