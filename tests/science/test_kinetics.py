import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from dicomnode.science.kinetics import (
    FAMILIES,
    PARAMETERS,
    curve_parameters,
    fpt,
    gamma_variate,
    lagged_normal,
    ldrw,
    lognormal,
    relative,
)

MODELS = {
    "lognormal": (lambda t: lognormal(t, 3.0, 2.9, 0.8, 5.0), 5 + np.exp(2.9 + 0.32)),
    "ldrw": (lambda t: ldrw(t, 3.0, 20.0, 2.0, 5.0), 5 + 20 * 1.5),
    "fpt": (lambda t: fpt(t, 3.0, 20.0, 2.0, 5.0), 5 + 20.0),
    "gamma_variate": (lambda t: gamma_variate(t, 3.0, 2.0, 6.0, 5.0), 5 + 18.0),
    "lagged_normal": (lambda t: lagged_normal(t, 3.0, 8.0, 2.0, 6.0, 5.0), 5 + 8.0 + 6.0),
}


@pytest.mark.parametrize("name", MODELS)
def test_area_and_mean_transit_time_are_what_the_model_says(name):
    curve, mean_s = MODELS[name]
    area = quad(curve, 5, 3000, limit=500, points=[10, 30, 100])[0]
    first_moment = quad(lambda t: t * curve(t), 5, 3000, limit=500, points=[10, 30, 100])[0]
    assert area == pytest.approx(3.0, rel=1e-4)
    assert first_moment / area == pytest.approx(mean_s, rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_comes_before_arrival_and_nothing_is_negative(name):
    t = np.linspace(-20, 400, 2000)
    values = MODELS[name][0](t)
    assert (values[t <= 5] <= (1e-4 * values.max() if name == "lagged_normal" else 0)).all()
    assert np.isfinite(values).all()
    assert (values >= 0).all()


def test_curves_broadcast_over_time_and_pixels():
    t, auc = np.linspace(0, 60, 30)[:, None], np.array([1.0, 2.0, 4.0])
    curves = lognormal(t, auc, np.array([2.0, 2.5, 3.0]), 0.7, 4.0)
    assert curves.shape == (30, 3)
    np.testing.assert_array_equal(curves[:, 1], lognormal(t[:, 0], 2.0, 2.5, 0.7, 4.0))


@pytest.mark.parametrize("curvature", [1.75, 2.5, 5.0, 12.0])
@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_closed_forms_agree_with_the_curve_itself(family, curvature):
    tp, s = 9.0, np.float64(curvature)

    def f(x):
        return float(5.0 * np.exp(family.log_height(np.log(x / tp), s)))

    def slope(x):
        h = 1e-5 * x
        return (f(x + h) - f(x - h)) / (2 * h)

    found = {
        name: float(value)
        for name, value in curve_parameters(family, np.log(5.0), np.log(tp), np.log(s)).items()
    }
    rise = minimize_scalar(lambda x: -slope(x), bounds=(tp * 1e-3, tp), method="bounded",
                           options={"xatol": 1e-9}).x  # fmt: skip
    fall = minimize_scalar(slope, bounds=(tp, 20 * tp), method="bounded",
                           options={"xatol": 1e-9}).x  # fmt: skip
    onset, end = rise - f(rise) / slope(rise), fall - f(fall) / slope(fall)
    whole = {"limit": 500, "points": [tp / 2, tp, 3 * tp, 10 * tp]}
    area = quad(f, 1e-9, 1000 * tp, **whole)[0]
    expected = {
        "PE": f(tp), "WiR": slope(rise), "WoR": -slope(fall),
        "RT": tp - onset, "FT": end - tp,
        "WiAUC": quad(f, max(onset, 1e-9), tp)[0], "WoAUC": quad(f, tp, end)[0],
        "WiPI": quad(f, max(onset, 1e-9), tp)[0] / (tp - onset),
        "WiWoAUC": quad(f, max(onset, 1e-9), end)[0],
        "WO50": 1 - f(onset + 50) / f(tp),
        "mTT": quad(lambda x: x * f(x), 1e-9, 1000 * tp, **whole)[0] / area,
    }  # fmt: skip
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=2e-3), name
    assert float(family.area(s)) == pytest.approx(area / (5.0 * tp), rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_a_family_is_the_textbook_curve_of_its_name(family):
    s, x = np.float64(2.6), np.linspace(0.2, 60, 400)
    late, early = (s - 0.5) / 2, (s + 0.5) / 2
    slow, fast = (s - 1.5) / 2, (s + 1.5) / 2
    textbook = {
        "lognormal": lognormal(x, 1.0, np.log(8.0) + 1 / s, s**-0.5),
        "gamma variate": gamma_variate(x, 1.0, s, 8.0 / s),
        "LDRW": ldrw(x, 1.0, 8.0 * np.sqrt(early / late), 2 * np.sqrt(early * late)),
        "FPT": fpt(x, 1.0, 8.0 * np.sqrt(fast / slow), 2 * np.sqrt(fast * slow)),
    }[family.name]
    curve = np.exp(family.log_height(np.log(x / 8.0), s)) / (8.0 * family.area(s))
    np.testing.assert_allclose(curve, textbook, rtol=1e-9, atol=1e-12)
    share = family.share(s, x / 8.0)
    whole = np.concatenate([[0.0], np.cumsum((curve[1:] + curve[:-1]) / 2 * np.diff(x))])
    np.testing.assert_allclose(share - share[0], whole, atol=2e-3)


def test_every_parameter_has_a_unit_an_equation_and_a_code_that_fits_dicom():
    names = [parameter.name for parameter in PARAMETERS]
    assert len(set(names)) == len(names) == 14
    codes = [parameter.code[:2] for parameter in PARAMETERS]
    assert len(set(codes)) == len(codes)
    for parameter in PARAMETERS:
        value, scheme, meaning = parameter.code
        assert parameter.unit in {"{a.u.}", "s", "{a.u.}/s", "{a.u.}.s", "1"}
        assert 0 < len(value) <= 16
        assert len(meaning) <= 64
        assert scheme in {"DCM", "99DICOMNODE"}
        assert parameter.equation
        assert parameter.definition


def test_relative_takes_ratios_of_amplitudes_and_differences_of_times():
    parameters = {"PE": np.array([2.0, 6.0]), "TTP": np.array([8.0, 12.0]), "QOF": np.ones(2)}
    tissue = {"PE": np.array([3.0, 1.0, 4.0]), "TTP": np.array([10.0]), "QOF": np.ones(1)}
    found = relative(parameters, tissue)
    assert found.keys() == {"PE", "TTP"}
    np.testing.assert_allclose(found["PE"], [2 / 3, 2.0])
    np.testing.assert_allclose(found["TTP"], [-2.0, 2.0])
    assert np.isnan(relative(parameters, {**tissue, "PE": np.zeros(1)})["PE"]).all()
