"""The classifier: exact contributions, honest abstention, refusal of what it does not know."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Beta, load
from dicomnode.inference.calibration import calibrated
from dicomnode.inference.classify import Classifier

FEATURES = ("rim", "entropy", "fast")


@pytest.fixture(scope="session")
def classifier(classifier_bundle: Path) -> Classifier:
    return Classifier(load(classifier_bundle))


@pytest.fixture(scope="session")
def intercept(classifier_bundle: Path) -> float:
    """Log-odds of the mean patient."""
    manifest = load(classifier_bundle).manifest
    assert manifest.linear is not None
    assert manifest.calibration is not None
    start = np.array(manifest.linear.intercept)
    return float(calibrated(start, manifest.calibration.beta))


def patient(rim: float, entropy: float, fast: float) -> dict[str, float]:
    return dict(zip(FEATURES, (rim, entropy, fast), strict=True))


PATIENTS = st.tuples(st.floats(-2, 3), st.floats(1, 9), st.floats(-0.7, 1.7)).map(
    lambda values: patient(*values)
)


@given(PATIENTS)
def test_contributions_sum_to_the_log_odds(
    classifier: Classifier, intercept: float, features: dict[str, float]
) -> None:
    answer = classifier.classify(features)
    if answer.malignant_probability is None:
        return
    log_odds = intercept + sum(each.contribution for each in answer.contributions)
    p = answer.malignant_probability
    assert np.isclose(log_odds, np.log(p / (1 - p)), atol=1e-9)


@given(PATIENTS)
def test_the_interval_holds_the_probability(
    classifier: Classifier, features: dict[str, float]
) -> None:
    answer = classifier.classify(features)
    if answer.malignant_probability is not None:
        assert answer.interval is not None
        assert 0 <= answer.interval[0] < answer.malignant_probability < answer.interval[1] <= 1


def test_contributions_come_with_values_the_strongest_first(classifier: Classifier) -> None:
    answer = classifier.classify(patient(2.0, 5.0, 0.9))
    sizes = [abs(each.contribution) for each in answer.contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert {each.feature: each.value for each in answer.contributions} == patient(2.0, 5.0, 0.9)


def test_the_fewer_the_exams_calibrated_on_the_wider_the_interval(classifier_bundle: Path) -> None:
    bundle = load(classifier_bundle)
    calibration = bundle.manifest.calibration
    assert calibration is not None
    few = calibration.model_copy(
        update={
            "log_odds": calibration.log_odds[::4],
            "is_malignant": calibration.is_malignant[::4],
        }
    )
    widths = []
    for each in (calibration, few):
        manifest = bundle.manifest.model_copy(update={"calibration": each})
        answer = Classifier(replace(bundle, manifest=manifest)).classify(patient(0.6, 5.0, 0.5))
        assert answer.interval is not None
        widths.append(answer.interval[1] - answer.interval[0])
    assert widths[0] < widths[1]


def test_the_answer_says_which_prevalence_it_assumes(classifier_bundle: Path) -> None:
    bundle = load(classifier_bundle)
    calibration = bundle.manifest.calibration
    assert calibration is not None
    third = tuple(n % 3 == 0 for n in range(len(calibration.log_odds)))
    rarer = calibration.model_copy(update={"is_malignant": third})
    for each, share in ((calibration, 0.5), (rarer, 1 / 3)):
        manifest = bundle.manifest.model_copy(update={"calibration": each})
        answer = Classifier(replace(bundle, manifest=manifest)).classify(patient(0.6, 5.0, 0.5))
        assert answer.prevalence == pytest.approx(share)


def test_a_contribution_carries_the_mean_it_is_set_against(classifier: Classifier) -> None:
    answer = classifier.classify(patient(2.0, 5.0, 0.9))
    for each in answer.contributions:
        moved = answer_of_one_change(classifier, each.feature, each.mean)
        assert moved == pytest.approx(0.0, abs=1e-9)
        assert each.meaning == each.feature, (
            "a feature that the program does not know keeps its name"
        )


def answer_of_one_change(classifier: Classifier, feature: str, value: float) -> float:
    """What a feature contributes at a value."""
    answer = classifier.classify({**patient(2.0, 5.0, 0.9), feature: value})
    (found,) = [each for each in answer.contributions if each.feature == feature]
    return found.contribution


def test_the_more_certain_the_answer_the_narrower_its_interval(classifier_bundle: Path) -> None:
    """Also where the probability cannot be told from 1 any more."""
    bundle = load(classifier_bundle)
    assert bundle.manifest.calibration is not None
    steep = bundle.manifest.calibration.model_copy(update={"beta": Beta(a=500.0, b=500.0)})
    sure = Classifier(
        replace(bundle, manifest=bundle.manifest.model_copy(update={"calibration": steep}))
    )
    answer = sure.classify(patient(2.2, 5.0, 1.2))
    assert answer.malignant_probability == 1.0
    assert answer.interval is not None
    assert answer.interval[0] > 0.8


def test_clear_patients_are_decided(classifier: Classifier) -> None:
    assert classifier.classify(patient(2.2, 5.0, 1.2)).decision == "malignant"
    assert classifier.classify(patient(-1.2, 5.0, -0.2)).decision == "benign"


def test_a_patient_between_the_classes_is_indeterminate_with_a_reason(
    classifier: Classifier,
) -> None:
    answer = classifier.classify(patient(0.6, 5.0, 0.5))
    assert answer.decision == "indeterminate"
    assert answer.malignant_probability is not None
    assert [reason.code for reason in answer.reasons] == ["both-possible"]


def test_the_true_class_is_in_the_set_about_as_often_as_stated(classifier: Classifier) -> None:
    rng = np.random.default_rng(11)
    is_malignant = np.arange(1000) % 2 == 0
    x = rng.normal(size=(1000, 3)) * (1.0, 2.0, 0.5) + (0.0, 5.0, 0.3)
    x[:, 0] += 1.2 * is_malignant
    x[:, 2] += 0.4 * is_malignant
    wrong = {True: "benign", False: "malignant"}
    missed = [
        classifier.classify(patient(*row)).decision == wrong[truth]
        for row, truth in zip(x.tolist(), is_malignant.tolist(), strict=True)
    ]
    assert np.mean(missed) < 0.15


def test_a_patient_unlike_any_other_is_refused_with_a_reason(classifier: Classifier) -> None:
    answer = classifier.classify(patient(0.5, 60.0, 0.5))
    assert answer.decision == "indeterminate"
    assert answer.malignant_probability is None
    assert answer.interval is None
    assert [reason.code for reason in answer.reasons] == ["out-of-distribution"]
    assert not answer.contributions


def test_a_missing_feature_is_named(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match=r"expected small-classifier's \['fast'\]"):
        classifier.classify({"rim": 1.0, "entropy": 5.0})


def test_a_feature_that_is_not_finite_is_a_mistake(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="expected finite values"):
        classifier.classify(patient(np.nan, 5.0, 0.5))


def test_coefficients_that_are_not_the_models_are_refused(
    classifier_bundle: Path, tmp_path: Path
) -> None:
    for file in classifier_bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    linear = load(classifier_bundle).manifest.linear
    assert linear is not None
    manifest = tmp_path / "manifest.toml"
    text = manifest.read_text()
    assert f"intercept = {linear.intercept}" in text
    manifest.write_text(text.replace(f"intercept = {linear.intercept}", "intercept = 1.5"))
    with pytest.raises(BundleError, match="small-classifier: the model answers"):
        Classifier(load(tmp_path)).classify(patient(0.6, 5.0, 0.5))


def test_a_segmenter_is_not_a_classifier(segmenter_bundle: Path) -> None:
    with pytest.raises(BundleError, match="bundle dark-finder: expected an ONNX model"):
        Classifier(load(segmenter_bundle))
