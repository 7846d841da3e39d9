import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from dicomnode.science import compiled
from dicomnode.science.curves import Binned, bin_power, bin_times
from dicomnode.science.elementary import exp32, log32
from dicomnode.science.fit import Fit, fit_binned, fit_curves, predict
from dicomnode.science.fit import levenberg_marquardt as fitting
from dicomnode.science.fit import start as beginning
from dicomnode.science.fit.levenberg_marquardt import (
    Samples,
    levenberg_marquardt,
)
from dicomnode.science.fit.model import Problem, curves, nothing_again
from dicomnode.science.fit.noise import covariance
from dicomnode.science.fit.prior import SPREAD
from dicomnode.science.fit.recirculation import Recirculation
from dicomnode.science.kinetics import FAMILIES, evaluate, fpt, gamma_variate, ldrw, lognormal
from parts import numpy_fit

TIMES_S = np.linspace(0, 80, 240)


@dataclasses.dataclass(frozen=True)
class Truth:
    pe: np.ndarray
    tp: np.ndarray
    curvature: np.ndarray
    t0_s: np.ndarray
    mean: np.ndarray

    @property
    def theta(self):
        return np.stack([np.log(self.pe), np.log(self.tp), np.log(self.curvature), self.t0_s], 1)


def first_pass(family, times_s, area, tp, s, t0_s):
    """The textbook's curve, in the textbook's parameters."""
    if family == "lognormal":
        return lognormal(times_s, area, np.log(tp) + 1 / s, s**-0.5, t0_s)
    if family == "gamma variate":
        return gamma_variate(times_s, area, s, tp / s, t0_s)
    tilt, curve = (0.5, ldrw) if family == "LDRW" else (1.5, fpt)
    late, early = (s - tilt) / 2, (s + tilt) / 2
    return curve(times_s, area, tp * np.sqrt(early / late), 2 * np.sqrt(late * early), t0_s)


def lesion(pixels, seed=0, share=0.0, family="lognormal"):
    """Curves of many pixels; what recirculates is each pixel's own first pass, late and slower."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.5, 0.75, pixels) ** -2.0
    tp = 9 * np.exp(rng.normal(0, 0.25, pixels))
    area = np.exp(rng.normal(7.5, 0.6, pixels))
    t0_s = 6 + rng.normal(0, 0.7, pixels)
    times_s = TIMES_S[:, None]
    mean = first_pass(family, times_s, area, tp, s, t0_s)
    mean += share * first_pass(family, times_s, area, 2 * tp, s, t0_s + 15)
    pe = area / (tp * FAMILIES[family].area(s))
    return Truth(pe, tp, s, t0_s, mean + 0.02 * np.median(pe))


def speckle(mean, looks=1.0, seed=1):
    return (mean * np.random.default_rng(seed).gamma(looks, 1 / looks, mean.shape)).astype("f4")


def theta(fit):
    return np.stack([fit.log_pe, fit.log_tp, fit.log_curvature, fit.t0_s], axis=1)


def assert_finite(fit):
    for field in dataclasses.fields(Fit):
        value = getattr(fit, field.name)
        if isinstance(value, np.ndarray):
            assert np.isfinite(value).all(), field.name
    for name, values in evaluate(fit, 6.0).items():
        assert np.isfinite(values).all(), name


@pytest.mark.parametrize("family", FAMILIES)
def test_curves_without_noise_are_found_again(family):
    truth = lesion(200, family=family)
    fit = fit_curves(truth.mean, TIMES_S, looks=1e3)
    assert fit.family.name == family
    off = np.median(np.abs(theta(fit) - truth.theta), axis=0)
    assert (off < [0.02, 0.05, 0.1, 0.3]).all(), off
    missed = np.abs(predict(fit, TIMES_S) - truth.mean)
    assert (missed.max(axis=0) / truth.mean.max(axis=0)).max() < 0.1


def test_speckle_gives_estimates_as_good_as_their_covariance_says():
    truth = lesion(1500)
    fit = fit_curves(speckle(truth.mean), TIMES_S)
    error = (theta(fit) - truth.theta)[:, :3]
    claimed = np.sqrt(np.einsum("nii->ni", fit.covariance)[:, :3])
    spread = (error / claimed).std(axis=0)
    assert ((spread > 0.8) & (spread < 1.2)).all(), spread
    assert (np.abs(np.median(error / claimed, axis=0)) < 0.25).all()
    assert fit.dispersion == pytest.approx(1.0, abs=0.1)


def problem(pixels, family="lognormal", seed=4, share=0.1):
    """Samples of a lesion, with the prior that the fit would use."""
    truth = lesion(pixels, seed, family=family)
    level = truth.mean.mean()
    groups = bin_times(TIMES_S, 80)
    binned = bin_power(speckle(truth.mean) / level, groups)
    total = binned.total.T.astype(np.float32)
    count = np.tile(binned.count.T.astype(np.float32), (pixels, 1))
    centre = np.array([0.0, np.log(9), np.log(2.6), 6.0, np.log(0.03)])
    again = Recirculation(
        fraction=share, delay_s=15.0, spread_s=20.0, family=FAMILIES[family],
        tp_s=9.0, curvature=2.6, t0_s=6.0,
    ).of(groups.times_s)  # fmt: skip
    shared = Problem(
        times_s=groups.times_s, again=again, family=FAMILIES[family], centre=centre,
        precision=np.diag(SPREAD**-2.0),
    )  # fmt: skip
    lift = np.full(pixels, 0.02, np.float32)
    return np.tile(centre, (pixels, 1)), shared, Samples(total=total, count=count, lift=lift)


@pytest.mark.parametrize("family", FAMILIES)
def test_scipy_finds_no_better_optimum(family):
    start, shared, samples = problem(8, family, seed=5)
    found = levenberg_marquardt(start, shared, samples, 200).theta

    def objective(point, n):
        rows = slice(n, n + 1)
        misfit, _, _ = numpy_fit.accumulate(
            point[None], shared, samples.total[rows], samples.count[rows], samples.lift[rows]
        )
        off = point - shared.centre
        return misfit[0] + 0.5 * off @ shared.precision @ off

    for n in range(len(start)):
        best = minimize(objective, found[n] + 0.02, args=(n,), method="L-BFGS-B",
                        options={"ftol": 1e-14, "gtol": 1e-8, "maxiter": 2000})  # fmt: skip
        assert objective(found[n], n) <= best.fun + 0.01


def test_the_slopes_are_the_models_own():
    start, shared, _ = problem(5, "FPT")
    start[:, 1:4] += np.random.default_rng(0).normal(0, 0.2, (5, 3))
    _, slopes = curves(start, shared)
    for i, slope in enumerate(slopes):
        step = 1e-5 * np.eye(5)[i]
        ahead, behind = curves(start + step, shared)[0], curves(start - step, shared)[0]
        # differences of single bins across the arrival itself are no derivatives
        ok = shared.times_s > start[:, 3:4] + 0.5
        np.testing.assert_allclose(
            np.where(ok, (ahead - behind) / 2e-5, 0), np.where(ok, slope, 0), rtol=2e-3, atol=1e-6
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_compiled_loops_give_the_answers_of_numpy(family):
    start, shared, samples = problem(60, family)
    one = levenberg_marquardt(start, shared, samples)
    other = numpy_fit.levenberg_marquardt(start, shared, samples)
    residuals, again = (
        room.residual_diagnostics(one.theta, shared, samples) for room in (fitting, numpy_fit)
    )
    bars = np.sqrt(np.einsum("nii->ni", np.linalg.inv(one.information + shared.precision)))
    assert (np.abs(one.theta - other.theta) / bars).max() < 0.05
    np.testing.assert_allclose(again.scatter, residuals.scatter, rtol=1e-4)
    scale = np.abs(residuals.varying).max()
    np.testing.assert_allclose(other.information, one.information, rtol=0.02, atol=2e-3 * scale)
    np.testing.assert_allclose(again.varying, residuals.varying, rtol=1e-4, atol=1e-5 * scale)
    given = one.information, residuals.varying, residuals.scatter, shared.precision
    found, expected = covariance(*given), numpy_fit.covariance(*given)
    size = np.sqrt(np.einsum("nii->ni", expected))
    off = (found - expected) / (size[:, :, None] * size[:, None, :])
    assert np.abs(off).max() < 1e-3


@pytest.mark.parametrize("shared", [True, False])
def test_enhancement_is_that_of_numpy(shared):
    draw = np.random.default_rng(4)
    total = draw.gamma(4, 1, (50, 20)).astype(np.float32)
    count = draw.integers(1, 9, (1 if shared else 50, 20)).astype(np.float32)
    found = beginning._enhancement(total, count, 12, 0.7)
    expected = numpy_fit.enhancement(total, count, 12, 0.7, beginning._FEWEST_COUNTED)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_exp_and_ln_in_single_precision_are_as_close_as_they_say():
    x = np.linspace(-80, 80, 20_001).astype(np.float32)
    y = np.geomspace(1e-30, 1e30, 20_001).astype(np.float32)
    exps, logs = np.array([exp32(v) for v in x]), np.array([log32(v) for v in y])
    truth = np.log(y.astype(float))
    assert np.abs(exps / np.exp(x.astype(float)) - 1).max() < 4e-6
    assert np.abs((logs - truth) / np.maximum(np.abs(truth), 1)).max() < 2e-7


def test_a_place_without_a_cache_still_compiles():
    scope = {}
    exec("def twice(x):\n    return 2 * x", scope)
    assert compiled.compiled(scope["twice"])(21) == 42


def test_gain_scales_amplitudes_and_nothing_else():
    power = speckle(lesion(150).mean, looks=4)
    one = evaluate(fit_curves(power.astype(float), TIMES_S, looks=4), 6.0)
    other = evaluate(fit_curves(power * 37.5, TIMES_S, looks=4), 6.0)
    for name in ("PE", "WiAUC", "WoAUC", "WiWoAUC", "WiR", "WoR", "WiPI"):
        np.testing.assert_allclose(other[name], 37.5 * one[name], rtol=1e-3, err_msg=name)
    for name in ("TTP", "mTT", "RT", "FT", "QOF", "arrival"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("later_s", [100.0, 1e6])
def test_a_later_start_of_the_clock_moves_arrival_only(later_s):
    power = speckle(lesion(150).mean, looks=4)
    one = evaluate(fit_curves(power, TIMES_S, looks=4), 6.0)
    later = evaluate(fit_curves(power, TIMES_S + later_s, looks=4), 6.0 + later_s)
    np.testing.assert_allclose(later.pop("arrival") - one.pop("arrival"), later_s, atol=1e-3)
    for name, values in one.items():
        np.testing.assert_allclose(later[name], values, rtol=1e-3, atol=1e-3, err_msg=name)


def test_the_order_of_pixels_does_not_matter():
    power = speckle(lesion(150).mean, looks=4)
    order = np.random.default_rng(0).permutation(150)
    one, other = (fit_curves(p, TIMES_S, looks=4) for p in (power, power[:, order]))
    np.testing.assert_allclose(other.log_pe, one.log_pe[order], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(other.t0_s, one.t0_s[order], rtol=1e-3, atol=1e-3)


def test_frames_left_out_have_no_say():
    power = speckle(lesion(80).mean, looks=4)
    kept = np.random.default_rng(2).random(TIMES_S.size) > 0.1
    spoilt = np.where(kept[:, None], power, 1e6).astype("f4")
    one = fit_curves(power, TIMES_S, kept=kept)
    other = fit_curves(spoilt, TIMES_S, kept=kept)
    np.testing.assert_array_equal(other.log_pe, one.log_pe)


def test_censoring_undoes_saturation():
    truth = lesion(800)
    power = speckle(truth.mean)
    top = np.percentile(power, 93)
    clipped, saturated = np.minimum(power, top), power >= top

    def bias(**how):
        found = evaluate(fit_curves(clipped, TIMES_S, **how), 6.0)["PE"]
        return np.median(np.log(found / truth.pe))

    assert bias() < -0.15
    assert abs(bias(saturated=saturated)) < 0.05


def test_recirculation_is_found_where_it_is_and_not_where_it_is_not():
    without = fit_curves(speckle(lesion(600).mean, 4), TIMES_S, looks=4)
    truth = lesion(600, share=0.3)
    found = fit_curves(speckle(truth.mean, 4), TIMES_S, looks=4)
    assert without.recirculation.fraction < 0.06
    assert found.recirculation.fraction >= 0.15
    assert abs(np.median(found.log_pe - np.log(truth.pe))) < 0.05


@pytest.mark.parametrize("later_s", [0.0, 100.0])
def test_a_mean_curve_takes_family_and_recirculation_of_its_pixels(later_s):
    truth = lesion(600, share=0.3, family="LDRW")
    pixels = fit_curves(speckle(truth.mean), TIMES_S + later_s)
    mean, clock_s = truth.mean.mean(axis=1, keepdims=True), TIMES_S + later_s
    fit = fit_curves(mean, clock_s, looks=50.0, like=pixels)
    assert (fit.family, fit.recirculation) == (pixels.family, pixels.recirculation)
    assert pixels.recirculation.fraction > 0
    off = predict(fit, clock_s) / mean - 1
    assert np.sqrt(np.mean(off**2)) < 0.1


def test_a_parameter_at_its_limit_does_not_hold_up_the_others():
    """Curves so flat that a gamma variate would need less curvature than it may have."""
    truth = lesion(400)
    flat = dataclasses.replace(truth, curvature=np.full(400, 0.5))
    area = flat.pe * flat.tp * FAMILIES["lognormal"].area(flat.curvature)
    mean = first_pass("lognormal", TIMES_S[:, None], area, flat.tp, flat.curvature, flat.t0_s)
    groups = bin_times(TIMES_S, 64)
    binned = bin_power(mean + 0.02 * np.median(flat.pe), groups)
    samples = Samples(
        total=np.ascontiguousarray(binned.total.T, np.float32),
        count=np.ascontiguousarray(binned.count.T, np.float32),
        lift=np.asarray(0.02 * flat.pe, np.float32),
    )
    family = FAMILIES["gamma variate"]
    start = np.column_stack([flat.theta, np.full(400, np.log(0.02 * np.median(flat.pe)))])
    problem = Problem(
        times_s=binned.times_s, again=nothing_again(binned.times_s), family=family,
        centre=start.mean(axis=0), precision=np.eye(5) * 1e-4,
    )  # fmt: skip
    fits = levenberg_marquardt(start, problem, samples)
    assert (np.exp(fits.theta[:, 2]) <= family.least * 1.0001).all()
    assert np.mean(fits.evaluations == fitting.STEPS) < 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_family_of_single_looks_does_not_bias_the_peak(family):
    truth = lesion(3000, family=family)
    fit = fit_curves(speckle(truth.mean), TIMES_S)
    peak_s = fit.t0_s + np.exp(fit.log_tp) - truth.t0_s - truth.tp
    assert abs(np.median(fit.log_pe - np.log(truth.pe))) < 0.04
    assert abs(np.median(peak_s)) < 0.3


def test_a_flash_lowers_the_quality_of_its_pixels_only():
    mean = lesion(200).mean
    power = speckle(mean, looks=8)
    power[150:170, :20] += 20 * np.median(mean)
    fit = fit_curves(power, TIMES_S, looks=8)
    assert np.median(fit.qof[:20]) < 0.3
    assert np.median(fit.qof[20:]) > 0.8


def test_a_pixel_without_enhancement_is_faint_and_of_good_quality():
    mean = lesion(200).mean
    mean[:, :30] = 1.5
    fit = fit_curves(speckle(mean, looks=4), TIMES_S, looks=4)
    pe = evaluate(fit, 6.0)["PE"]
    assert pe[:30].max() < 0.05 * np.median(pe[30:])
    assert np.median(fit.qof[:30]) > 0.5
    assert not fit.failed.any()


def test_pixels_that_say_nothing_are_flagged():
    power = speckle(lesion(50).mean)
    power[:, 0], power[:, 1], power[:, 2], power[:, 3] = np.nan, -1, 0, 5
    fit = fit_curves(power, TIMES_S)
    assert fit.failed[:4].tolist() == [True, True, False, False]
    assert fit.qof[:2].tolist() == [0, 0]
    assert_finite(fit)
    assert fit_curves(np.zeros((240, 3)), TIMES_S).failed.all()
    assert_finite(fit_curves(np.zeros((240, 3)), TIMES_S))


def test_many_equal_pixels_without_noise_have_finite_error_bars():
    power = np.repeat(lesion(1).mean, 200, axis=1)
    for times_s in (TIMES_S, TIMES_S * 1e-6):
        assert_finite(fit_curves(power, times_s))


def test_a_pixel_that_is_always_saturated_is_not_well_fitted():
    power = speckle(lesion(60).mean, looks=4)
    saturated = np.zeros(power.shape, bool)
    saturated[:, 7] = True
    fit = fit_curves(power, TIMES_S, saturated=saturated)
    assert np.flatnonzero(fit.failed).tolist() == [7]
    assert fit.qof[7] == 0


@settings(max_examples=60)
@given(
    power=arrays(
        np.float32,
        st.tuples(st.integers(8, 24), st.integers(1, 5)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_hostile_samples_never_become_nan(power):
    assert_finite(fit_curves(power, np.arange(power.shape[0]) * 0.5))


@pytest.mark.parametrize(
    ("power", "times_s", "how", "words"),
    [
        (np.ones(30), np.arange(30.0), {}, r"power: expected .*\(frames, pixels\)"),
        (np.ones((30, 0)), np.arange(30.0), {}, "power: expected .* pixels > 0"),
        (np.ones((30, 2)), np.arange(29.0), {}, "times_s: expected 30 seconds"),
        (np.ones((30, 2)), np.zeros(30), {}, "times_s: expected .* increasing seconds"),
        (np.ones((30, 2)), np.arange(30.0), {"kept": np.ones(3, bool)}, "kept: expected shape"),
        (np.ones((30, 2)), np.arange(30.0), {"kept": np.arange(30) < 5}, "at least 8 usable"),
        (np.ones((30, 2)), np.arange(30.0), {"saturated": np.ones((2, 2))}, "saturated: expected"),
        (np.ones((30, 2)), np.arange(30.0), {"saturated": np.full((30, 2), 5.0)}, "0 to 1"),
        (np.ones((30, 2)), np.arange(30.0), {"looks": 0.0}, "looks: expected a positive"),
    ],
)
def test_what_cannot_be_fitted_is_refused_by_name(power, times_s, how, words):
    with pytest.raises(ValueError, match=words):
        fit_curves(power, times_s, **how)


@pytest.mark.parametrize(
    ("binned", "words"),
    [
        (
            Binned(times_s=np.arange(9.0), total=np.ones((9, 0)), count=np.ones((9, 1))),
            "pixels > 0",
        ),
        (Binned(times_s=np.arange(5.0), total=np.ones((5, 2)), count=np.ones((5, 1))), "8 bins"),
        (Binned(times_s=np.arange(8.0), total=np.ones((9, 2)), count=np.ones((9, 1))), "times_s"),
    ],
)
def test_bins_that_cannot_be_fitted_are_refused_by_name(binned, words):
    with pytest.raises(ValueError, match=words):
        fit_binned(binned)


@settings(max_examples=40)
@given(
    totals=arrays(np.float64, (12, 3), elements=st.floats(0, 1e12)),
    counts=arrays(np.float64, (12, 3), elements=st.floats(0, 1e3)),
    gap=st.floats(0.0, 1e4),
)
def test_whatever_is_in_the_bins_a_fit_is_finite(totals, counts, gap):
    times_s = np.arange(12.0) + np.where(np.arange(12) > 6, gap, 0)
    assert_finite(fit_binned(Binned(times_s=times_s, total=totals, count=counts)))


def test_without_recirculation_nothing_comes_again():
    again = nothing_again(TIMES_S)
    assert not again.curves.any()
    assert again.curves.shape == (4, TIMES_S.size)
