import numpy as np
import pytest

from dicomnode.simulation.habitats import HABITATS
from dicomnode.simulation.perfusion import MODELS, perfuse, shape
from dicomnode.simulation.recipe import Bolus

TIMES_S = np.arange(0, 120, 0.01)
CURVED = [model for model in MODELS if model != "lagged_normal"]
"""Models that have the lognormal's curvature at the peak and start where it does."""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sigma", [0.45, 0.7, 0.95])
def test_every_model_peaks_where_asked_at_unit_height(model: str, sigma: float) -> None:
    curve = shape(TIMES_S, model, ttp_s=11.0, sigma=sigma)
    assert TIMES_S[curve.argmax()] == pytest.approx(11.0, abs=0.05)
    assert curve.max() == pytest.approx(1.0, abs=1e-4)
    assert curve[0] < 0.2 if model == "lagged_normal" else curve[0] == 0


def test_lognormal_shape_is_the_textbook_one() -> None:
    curve = shape(TIMES_S, "lognormal", ttp_s=9.3, sigma=0.86)
    with np.errstate(divide="ignore"):
        expected = np.exp(-(np.log(TIMES_S / 9.3) ** 2) / (2 * 0.86**2))
    np.testing.assert_allclose(curve, expected, atol=3e-4)


def test_models_agree_near_the_peak_and_part_in_the_tail() -> None:
    curves = {model: shape(TIMES_S, model, ttp_s=10.0, sigma=0.6) for model in MODELS}
    near = np.abs(TIMES_S - 10) < 1.5
    tails = [curve[np.searchsorted(TIMES_S, 50)] for curve in curves.values()]
    for model in CURVED:
        np.testing.assert_allclose(curves[model][near], curves["lognormal"][near], atol=0.01)
    assert max(tails) > 1.5 * min(tails)


@pytest.mark.parametrize("sigma", [0.45, 0.7, 0.95])
def test_the_lagged_normal_is_half_as_high_when_the_lognormal_is(sigma: float) -> None:
    lagged, usual = (
        shape(TIMES_S, model, ttp_s=10.0, sigma=sigma) for model in ("lagged_normal", "lognormal")
    )
    for part in (TIMES_S < 10, TIMES_S > 10):
        half = np.argmin(np.abs(usual[part] - 0.5))
        assert lagged[part][half] == pytest.approx(0.5, abs=0.005)


def test_curves_start_at_arrival_and_keep_the_order_of_the_habitats() -> None:
    perfusion = perfuse(Bolus(arrival_s=12.0), duration_s=90.0)
    curves = perfusion.at(np.arange(0, 90, 0.1))[1:6]
    before = curves[:, : 12 * 10]
    assert before.max() == 0
    peaks_s = curves.argmax(axis=1) * 0.1 - 12.0
    assert list(np.argsort(peaks_s[1:])[::-1]) == [0, 1, 2, 3]
    for peak, habitat in zip(curves.max(axis=1), HABITATS, strict=True):
        assert peak == pytest.approx(habitat.peak, rel=0.12)


def test_recirculation_lifts_the_tail_only() -> None:
    times_s = np.arange(0, 90, 0.1)
    without = perfuse(Bolus(recirculation=0.0), duration_s=90.0).at(times_s)[5]
    with_it = perfuse(Bolus(recirculation=0.2), duration_s=90.0).at(times_s)[5]
    assert with_it.argmax() == without.argmax()
    assert with_it[-200] > without[-200] + 0.1


def test_no_agent_no_curve() -> None:
    perfusion = perfuse(Bolus(), duration_s=60.0, contrast_agent=False)
    assert perfusion.table.max() == 0
