import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from dicomnode.science import compiled
from dicomnode.science.fit import Fit, fit_lognormal, predict
from dicomnode.science.fit.kernel import curves, maximise, maximise_numpy
from dicomnode.science.kinetics import evaluate, lognormal, recirculation

TIMES_S = np.linspace(0, 80, 240)


@dataclasses.dataclass(frozen=True)
class Truth:
    auc: np.ndarray
    mu: np.ndarray
    sigma: np.ndarray
    t0_s: np.ndarray
    mean: np.ndarray


def lesion(pixels, seed=0, share=0.0):
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.45, 0.95, pixels)
    mu = rng.normal(np.log(9), 0.25, pixels) + sigma**2
    auc = np.exp(rng.normal(7.5, 0.6, pixels))
    t0_s = 6 + rng.normal(0, 0.7, pixels)
    mean = 1.5 + lognormal(TIMES_S[:, None], auc, mu, sigma, t0_s)
    mean += recirculation(
        TIMES_S[:, None], auc, 2.7, 0.7, 6.0, fraction=share, delay_s=18.0, decay_s=180.0
    )
    return Truth(auc, mu, sigma, t0_s, mean)


def speckle(mean, looks=1.0, seed=1):
    return (mean * np.random.default_rng(seed).gamma(looks, 1 / looks, mean.shape)).astype("f4")


def assert_finite(fit):
    for field in dataclasses.fields(Fit):
        value = getattr(fit, field.name)
        if isinstance(value, np.ndarray):
            assert np.isfinite(value).all(), field.name
    for name, values in evaluate(fit).items():
        assert np.isfinite(values).all(), name


def test_curves_without_noise_are_found_again():
    truth = lesion(200)
    fit = fit_lognormal(truth.mean, TIMES_S, looks=1e4)
    assert np.median(np.abs(fit.log_auc - np.log(truth.auc))) < 0.01
    assert np.median(np.abs(fit.mu - truth.mu)) < 0.02
    assert np.median(np.abs(fit.t0_s - truth.t0_s)) < 0.2
    off = np.abs(predict(fit, TIMES_S) - truth.mean)
    assert (off.max(axis=0) / truth.mean.max(axis=0)).max() < 0.1
    assert np.median(off / truth.mean) < 0.005


def test_speckle_gives_estimates_as_good_as_their_covariance_says():
    truth = lesion(1500)
    fit = fit_lognormal(speckle(truth.mean), TIMES_S)
    error = np.stack([fit.log_auc - np.log(truth.auc), fit.mu - truth.mu,
                      fit.log_sigma - np.log(truth.sigma)], axis=1)  # fmt: skip
    claimed = np.sqrt(np.einsum("nii->ni", fit.covariance)[:, :3])
    spread = (error / claimed).std(axis=0)
    assert ((spread > 0.85) & (spread < 1.2)).all()
    assert (np.abs(np.median(error / claimed, axis=0)) < 0.2).all()
    assert fit.dispersion == pytest.approx(1.0, abs=0.1)


def problem(pixels, seed=4):
    """Bins of a lesion, with the prior that the fit would use."""
    truth = lesion(pixels, seed)
    total, count = speckle(truth.mean).T.astype(float) / 50, np.ones((pixels, TIMES_S.size))
    start = np.tile([3.5, 2.8, -0.3, 6.0, np.log(0.03)], (pixels, 1))
    precision = np.array([4.0, 1.0, 0.5, 2.0, 1.5]) ** -2.0
    extra = recirculation(TIMES_S, 1.0, 2.8, 0.7, 6.0, fraction=0.1, delay_s=15.0, decay_s=180.0)
    return start, TIMES_S, extra, total, count, start[0], precision


def test_scipy_finds_no_better_optimum():
    start, times, extra, total, count, prior, precision = problem(10)
    theta, _, _ = maximise(start, times, extra, total, count, prior, precision, 60)

    def objective(point, n):
        model = curves(point[None], times, extra)[1][0]
        misfit = (count[n] * np.log(model) + total[n] / model).sum()
        return misfit + 0.5 * (precision * (point - prior) ** 2).sum()

    for n in range(10):
        best = minimize(objective, theta[n] + 0.05, args=(n,), method="L-BFGS-B",
                        options={"ftol": 1e-14, "gtol": 1e-8, "maxiter": 2000})  # fmt: skip
        assert objective(theta[n], n) <= best.fun + 1e-3
        np.testing.assert_allclose(theta[n], best.x, atol=0.05)


def test_the_numpy_path_gives_the_answers_of_the_compiled_one():
    arguments = problem(60)
    compiled_answer, numpy_answer = maximise(*arguments, 40), maximise_numpy(*arguments, 40)
    np.testing.assert_allclose(numpy_answer[0], compiled_answer[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(numpy_answer[1], compiled_answer[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(numpy_answer[2], compiled_answer[2])


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import numpy as np
from dicomnode.science import compiled
from dicomnode.science.fit import fit_lognormal
assert not compiled.AVAILABLE
with np.load(sys.argv[1]) as given:
    fit = fit_lognormal(given["power"], given["times_s"])
np.savez(sys.argv[2], log_auc=fit.log_auc, mu=fit.mu, qof=fit.qof)
"""


@pytest.mark.skipif(not compiled.AVAILABLE, reason="numba is not installed")
def test_without_numba_the_fit_is_the_same(tmp_path):
    power = speckle(lesion(40).mean)
    np.savez(tmp_path / "given.npz", power=power, times_s=TIMES_S)
    subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMBA, tmp_path / "given.npz", tmp_path / "found.npz"],
        check=True,
    )
    fit = fit_lognormal(power, TIMES_S)
    with np.load(tmp_path / "found.npz") as found:
        for name in ("log_auc", "mu", "qof"):
            np.testing.assert_allclose(found[name], getattr(fit, name), rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(not compiled.AVAILABLE, reason="numba is not installed")
def test_a_place_without_a_cache_still_compiles():
    scope = {}
    exec("def twice(x):\n    return 2 * x", scope)
    assert compiled.compiled(scope["twice"])(21) == 42


def test_gain_scales_amplitudes_and_nothing_else():
    power = speckle(lesion(150).mean, looks=4)
    one = evaluate(fit_lognormal(power.astype(float), TIMES_S, looks=4))
    other = evaluate(fit_lognormal(power * 37.5, TIMES_S, looks=4))
    for name in ("PE", "WiAUC", "WoAUC", "WiWoAUC", "WiR", "WoR", "WiPI"):
        np.testing.assert_allclose(other[name], 37.5 * one[name], rtol=1e-3, err_msg=name)
    for name in ("TTP", "mTT", "RT", "FT", "QOF", "arrival"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_a_later_start_of_the_clock_moves_arrival_only():
    power = speckle(lesion(150).mean, looks=4)
    one = evaluate(fit_lognormal(power, TIMES_S, looks=4))
    later = evaluate(fit_lognormal(power, TIMES_S + 100, looks=4))
    np.testing.assert_allclose(later.pop("arrival") - one.pop("arrival"), 100, atol=1e-3)
    for name, values in one.items():
        np.testing.assert_allclose(later[name], values, rtol=1e-3, atol=1e-3, err_msg=name)


def test_the_order_of_pixels_does_not_matter():
    power = speckle(lesion(150).mean, looks=4)
    order = np.random.default_rng(0).permutation(150)
    one, other = (fit_lognormal(p, TIMES_S, looks=4) for p in (power, power[:, order]))
    np.testing.assert_allclose(other.log_auc, one.log_auc[order], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(other.t0_s, one.t0_s[order], rtol=1e-3, atol=1e-3)


def test_frames_left_out_have_no_say():
    power = speckle(lesion(80).mean, looks=4)
    kept = np.random.default_rng(2).random(TIMES_S.size) > 0.1
    spoilt = np.where(kept[:, None], power, 1e6).astype("f4")
    one = fit_lognormal(power, TIMES_S, kept=kept)
    other = fit_lognormal(spoilt, TIMES_S, kept=kept)
    np.testing.assert_array_equal(other.log_auc, one.log_auc)


def test_censoring_undoes_saturation():
    truth = lesion(800)
    power = speckle(truth.mean)
    top = np.percentile(power, 93)
    clipped, saturated = np.minimum(power, top), power >= top
    true_pe = evaluate_truth(truth)

    def bias(**how):
        return np.median(np.log(evaluate(fit_lognormal(clipped, TIMES_S, **how))["PE"] / true_pe))

    assert bias() < -0.15
    assert abs(bias(saturated=saturated)) < 0.05


def evaluate_truth(truth):
    peak_s = truth.t0_s + np.exp(truth.mu - truth.sigma**2)
    return lognormal(peak_s, truth.auc, truth.mu, truth.sigma, truth.t0_s)


def test_recirculation_is_found_where_it_is_and_not_where_it_is_not():
    without = fit_lognormal(speckle(lesion(600).mean, 4), TIMES_S, looks=4)
    truth = lesion(600, share=0.35)
    found = fit_lognormal(speckle(truth.mean, 4), TIMES_S, looks=4)
    assert without.recirculation.fraction == 0
    assert found.recirculation.fraction >= 0.2
    assert abs(np.median(found.log_auc - np.log(truth.auc))) < 0.06


def test_a_flash_lowers_the_quality_of_its_pixels_only():
    mean = lesion(200).mean
    power = speckle(mean, looks=8)
    power[150:170, :20] += 20 * np.median(mean)
    fit = fit_lognormal(power, TIMES_S, looks=8)
    assert np.median(fit.qof[:20]) < 0.3
    assert np.median(fit.qof[20:]) > 0.8


def test_a_pixel_without_enhancement_is_faint_and_of_good_quality():
    mean = lesion(200).mean
    mean[:, :30] = 1.5
    fit = fit_lognormal(speckle(mean, looks=4), TIMES_S, looks=4)
    pe = evaluate(fit)["PE"]
    assert pe[:30].max() < 0.05 * np.median(pe[30:])
    assert np.median(fit.qof[:30]) > 0.5
    assert not fit.failed.any()


def test_pixels_that_say_nothing_are_flagged():
    power = speckle(lesion(50).mean)
    power[:, 0], power[:, 1], power[:, 2], power[:, 3] = np.nan, -1, 0, 5
    fit = fit_lognormal(power, TIMES_S)
    assert fit.failed[:4].tolist() == [True, True, False, False]
    assert fit.qof[:2].tolist() == [0, 0]
    assert_finite(fit)
    assert fit_lognormal(np.zeros((240, 3)), TIMES_S).failed.all()
    assert_finite(fit_lognormal(np.zeros((240, 3)), TIMES_S))


@settings(max_examples=60, deadline=None)
@given(
    power=arrays(
        np.float32,
        st.tuples(st.integers(8, 24), st.integers(1, 5)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_hostile_samples_never_become_nan(power):
    assert_finite(fit_lognormal(power, np.arange(power.shape[0]) * 0.5))


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
        (np.ones((30, 2)), np.arange(30.0), {"looks": 0.0}, "looks: expected a positive"),
    ],
)
def test_what_cannot_be_fitted_is_refused_by_name(power, times_s, how, words):
    with pytest.raises(ValueError, match=words):
        fit_lognormal(power, times_s, **how)
