"""The classifier's fit: what is exported is what was fitted, and calibration is honest."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from dicomnode.inference.calibration import calibrated
from dicomnode.training.diagnosis.learnt import Learnt
from dicomnode.training.diagnosis.logistic import Fitted, as_onnx, beta_calibration, fit


def patients(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    is_malignant = np.arange(count) % 2 == 0
    x = rng.normal(size=(count, 4)) * (1.0, 10.0, 0.1, 1.0) + (0.0, 40.0, 0.0, 0.0)
    x[:, 0] += 1.0 * is_malignant
    x[:, 1] -= 8.0 * is_malignant
    return x, is_malignant


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(*patients(160, 5), coverage=0.9, seed=1)


def by_hand(fitted: Fitted, x: np.ndarray) -> np.ndarray:
    """Log-odds before calibration."""
    linear = fitted.linear
    scaled = (x - linear.mean) / np.array(linear.scale)
    return np.asarray(scaled @ np.array(linear.coefficients) + linear.intercept)


def answers(fitted: Fitted, x: np.ndarray) -> np.ndarray:
    return np.asarray(expit(calibrated(by_hand(fitted, x), fitted.calibration.beta)))


def test_onnx_answers_as_the_manifests_numbers_do(fitted: Fitted) -> None:
    x, _ = patients(500, 6)
    session = onnxruntime.InferenceSession(as_onnx(fitted.linear))
    (answered,) = session.run(["probabilities"], {"features": x.astype(np.float32)})
    assert np.allclose(answered[:, 1], expit(by_hand(fitted, x)), atol=1e-5)


def test_probabilities_are_calibrated_on_new_patients(fitted: Fitted) -> None:
    x, is_malignant = patients(4000, 8)
    probability = answers(fitted, x)
    for low, high in ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)):
        inside = (probability >= low) & (probability < high)
        assert abs(probability[inside].mean() - is_malignant[inside].mean()) < 0.1


def test_conformal_sets_cover_new_patients_of_either_kind(fitted: Fitted) -> None:
    x, is_malignant = patients(4000, 9)
    probability = answers(fitted, x)
    in_set = np.where(
        is_malignant,
        1 - probability <= fitted.calibration.malignant,
        probability <= fitted.calibration.benign,
    )
    for kind in (True, False):
        assert 0.84 <= in_set[is_malignant == kind].mean() <= 0.97


def test_the_noise_features_weigh_little(fitted: Fitted) -> None:
    weights = np.abs(fitted.linear.coefficients)
    assert max(weights[2:]) < 0.4 * min(weights[:2])


def test_the_distribution_holds_its_own_kind(fitted: Fitted) -> None:
    x, _ = patients(2000, 10)
    scaled = (x - fitted.linear.mean) / np.array(fitted.linear.scale)
    precision = np.array(fitted.distribution.precision)
    distance = np.sqrt(np.einsum("ij,jk,ik->i", scaled, precision, scaled) / 4)
    assert np.mean(distance <= fitted.distribution.limit) > 0.95


def test_the_same_seed_gives_the_same_fit(fitted: Fitted) -> None:
    assert fit(*patients(160, 5), coverage=0.9, seed=1).linear == fitted.linear


def test_kinds_that_few_exams_tell_apart_wholly_have_probabilities_all_the_same() -> None:
    """Calibration's slopes grow without end there, and with them the log-odds of exams far away."""
    x = np.linspace(-1, 1, 20)[:, None] * (1.0, 0.5)
    is_malignant = x[:, 0] > 0
    found = fit(x, is_malignant, coverage=0.9, seed=1)
    far = replace(found, log_odds=1e4 * found.log_odds)
    table = SimpleNamespace(is_malignant=is_malignant)
    for fitted in (found, far):
        learnt = Learnt(table=table, kept=np.arange(2), fitted=fitted, growth=())
        assert ((learnt.probability > 0.5) == is_malignant).mean() >= 0.9


def test_where_some_malignant_lesions_look_benign_probabilities_level_off() -> None:
    """A line in the score would promise less and less there; what comes true stays at a tenth."""
    rng = np.random.default_rng(3)
    score = rng.normal(0, 3, 20_000)
    truth = 0.1 + 0.9 * expit(score)
    is_malignant = rng.random(len(score)) < truth
    found = expit(calibrated(score, beta_calibration(score, is_malignant)))
    line = LogisticRegression().fit(score[:, None], is_malignant).predict_proba(score[:, None])
    assert np.abs(found - truth).mean() < 0.6 * np.abs(line[:, 1] - truth).mean()
    assert np.abs(found - truth).mean() < 0.02


@pytest.mark.parametrize("sign", [1, -1])
def test_calibrated_log_odds_never_fall_where_the_score_rises(sign: int) -> None:
    """Not even where the kinds are on the wrong side, or one of them only seldom."""
    rng = np.random.default_rng(4)
    score = rng.normal(0, 2, 300)
    is_malignant = rng.random(300) < expit(sign * np.minimum(score, 0))
    found = beta_calibration(score, is_malignant)
    assert (np.diff(calibrated(np.sort(score), found)) >= 0).all()


def test_a_score_that_says_nothing_leaves_the_share_of_malignant_exams() -> None:
    rng = np.random.default_rng(5)
    is_malignant = np.arange(60) % 4 == 0
    score = rng.normal(0, 2, 60) - 1.0 * is_malignant
    found = expit(calibrated(score, beta_calibration(score, is_malignant)))
    assert np.allclose(found, 0.25)
