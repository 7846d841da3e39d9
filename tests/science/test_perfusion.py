import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.science.kinetics import LOGNORMAL, PARAMETERS, curve_parameters, lognormal
from dicomnode.science.loop import Loop
from dicomnode.science.perfusion import Regions, measure_perfusion
from dicomnode.science.sampling import Motion

FRAMES, ROWS, COLUMNS = 60, 14, 18


def still(frames, kept=None):
    return Motion(
        shift_px=np.zeros((frames, 2)), ncc=np.ones(frames),
        kept=np.ones(frames, bool) if kept is None else kept, reference=0, source="contrast",
    )  # fmt: skip


def loop(grey, times_s=None):
    times_s = np.arange(float(len(grey))) if times_s is None else times_s
    return Loop(
        contrast=np.ascontiguousarray(grey, np.uint8), bmode=None, times_s=times_s,
        spacing_mm=(0.2, 0.2), graphics=np.zeros(grey.shape[1:], bool),
    )  # fmt: skip


def bolus(seed=0, gain=1.0, late_s=0.0, frames=FRAMES):
    """A pane whose left half enhances four times as much as its right one."""
    rng = np.random.default_rng(seed)
    curve = 200 + gain * lognormal(np.arange(float(frames)), 3e5, 2.9, 0.6, 6 + late_s)
    place = np.where(np.arange(COLUMNS) < COLUMNS // 2, 4.0, 1.0)
    mean = 200 + (curve[:, None, None] - 200) * place
    power = mean * rng.gamma(6, 1 / 6, (frames, ROWS, COLUMNS))
    return np.clip(np.rint(2550 / 60 * np.log10(np.maximum(power, 1))), 0, 255).astype(np.uint8)


def regions(lesion=None):
    if lesion is None:
        lesion = np.zeros((ROWS, COLUMNS), bool)
        lesion[3:11, 3:9] = True
    tissue = np.zeros_like(lesion)
    tissue[:, 11:] = True
    return Regions(lesion=lesion, ring=np.zeros_like(lesion), tissue=tissue & ~lesion)


def measure(grey, where=None, times_s=None, kept=None):
    given_loop = loop(grey, times_s)
    return measure_perfusion(
        given_loop, still(len(grey), kept), where or regions(), smoothing_px=1.0, bins=40
    )


def assert_defined(perfusion):
    for name, values in perfusion.parameters.items():
        assert np.isfinite(values).all(), name
        assert values.shape == (np.count_nonzero(perfusion.fitted),)
    assert perfusion.parameters.keys() == {parameter.name for parameter in PARAMETERS}


def test_a_lesion_is_measured_against_its_tissue():
    found = measure(bolus())
    lesion, tissue = (found.within(mask) for mask in (found.regions.lesion, found.regions.tissue))
    assert np.median(lesion["PE"]) / np.median(tissue["PE"]) == pytest.approx(4, rel=0.15)
    truth = curve_parameters(LOGNORMAL, *np.array([0.0, 2.9 - 0.36, -2 * np.log(0.6)]))
    assert np.median(lesion["TTP"]) == pytest.approx(truth["RT"], rel=0.15)
    assert np.median(lesion["arrival"]) == pytest.approx(found.arrival_s, abs=0.3)
    peak_s = lesion["arrival"] + lesion["RT"]
    np.testing.assert_allclose(lesion["TTP"] + found.arrival_s, peak_s)
    curve = found.lesion_curve
    both = found.mean_curves(np.where(found.regions.lesion, 2, 0).astype(np.uint8))
    np.testing.assert_allclose(both[:, 1], curve, rtol=1e-6)
    assert np.isnan(both[:, 0]).all()
    shown = found.maps()["PE"]
    assert np.isfinite(shown[found.regions.lesion]).all()
    assert np.isnan(shown[found.regions.tissue]).all()


def test_frames_left_out_say_nothing():
    grey = bolus()
    kept = np.ones(FRAMES, bool)
    kept[[5, 20, 33]] = False
    spoilt = grey.copy()
    spoilt[~kept] = 255
    one, other = measure(grey, kept=kept), measure(spoilt, kept=kept)
    np.testing.assert_allclose(other.parameters["PE"], one.parameters["PE"], rtol=1e-6)
    assert np.isnan(one.lesion_curve[~kept]).all()


@settings(max_examples=15)
@given(row=st.integers(0, ROWS - 1), column=st.integers(0, COLUMNS - 1))
def test_a_lesion_of_one_pixel_is_measured_wherever_it_is(row, column):
    lesion = np.zeros((ROWS, COLUMNS), bool)
    lesion[row, column] = True
    assert_defined(measure(bolus(), regions(lesion)))


@pytest.mark.parametrize("grey", [0, 1, 128, 254, 255])
def test_frames_that_never_change_have_a_defined_result(grey):
    assert_defined(measure(np.full((FRAMES, ROWS, COLUMNS), grey, np.uint8)))


@settings(max_examples=15)
@given(
    gap_s=st.floats(0.1, 1e4), at=st.integers(1, FRAMES - 1), brightest=st.integers(0, 255),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_any_pane_with_any_gap_in_its_clock_has_a_defined_result(gap_s, at, brightest, seed):
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, brightest + 1, (FRAMES, ROWS, COLUMNS), dtype=np.uint8)
    times_s = np.arange(float(FRAMES)) + gap_s * (np.arange(FRAMES) >= at)
    assert_defined(measure(grey, times_s=times_s))


def test_what_cannot_be_measured_is_refused_by_name():
    with pytest.raises(ValueError, match="binned: expected at least 8 bins, got 1"):
        measure(bolus(frames=1))
    with pytest.raises(ValueError, match="times_s: expected strictly increasing"):
        loop(bolus(), np.zeros(FRAMES))
    with pytest.raises(ValueError, match="mask: expected at least one pixel"):
        measure(bolus(), regions(np.zeros((ROWS, COLUMNS), bool)))
