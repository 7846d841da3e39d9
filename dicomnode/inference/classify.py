"""Benign or malignant: a calibrated linear model that may abstain and explains itself."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit

from dicomnode.errors import BundleError, Reason
from dicomnode.inference.bundle import Bundle, Calibration, Distribution, Linear
from dicomnode.inference.calibration import calibrated, mean_slope, standard_error
from dicomnode.science.feature_table import BY_NAME
from dicomnode.science.findings import Contribution, Diagnosis

__all__ = ["Classifier"]

Vector = NDArray[np.float64]

CERTAIN = 1.96
"""Standard errors to either side within which a normal quantity lies 95 % of the time."""

AGREEMENT = 1e-3
"""Largest difference of probability between the ONNX model and the manifest's own coefficients."""


class Classifier:
    """A classification bundle, ready to answer.

    Parameters
    ----------
    bundle : Bundle
        A bundle of task "classification" with [linear], [calibration] and [distribution].
    """

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        if bundle.task != "classification" or bundle.session is None:
            raise BundleError(
                f"bundle {bundle.name}: expected an ONNX model for classification, "
                f"got {bundle.task}"
            )
        if manifest.linear is None or manifest.calibration is None or manifest.distribution is None:
            raise BundleError(
                f"bundle {bundle.name}: manifest: expected [linear], [calibration] and "
                "[distribution]"
            )
        self.use = bundle.use
        self._name = bundle.name
        self._session = bundle.session
        self._features = manifest.inputs
        self._linear = manifest.linear
        self._calibration = manifest.calibration
        self._distribution = manifest.distribution
        _check_sizes(bundle.name, len(manifest.inputs), self._linear, self._distribution)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features it reads, in order."""
        return tuple(feature.name for feature in self._features)

    def classify(self, features: Mapping[str, float]) -> Diagnosis:
        """Answer from lesion features; abstain where the evidence or the training does not reach.

        The contributions and the mean patient's log-odds sum to the log-odds of the probability.
        The interval says how far the calibration can be relied on, given the training cohort's
        out-of-fold answers: Venn–Abers' (Vovk and Petej 2014, arXiv:1211.0025), widened to the
        95 % interval of the calibration around the probability. The decision is a class-conditional
        split-conformal set (Vovk 2012, doi:10.1007/s10994-013-5355-6).
        """
        values = self._values(features)
        scaled = (values - np.array(self._linear.mean)) / np.array(self._linear.scale)
        distance = _distance(scaled, self._distribution)
        if distance > self._distribution.limit:
            return self._beyond(distance)
        score, beta = self._score(values, scaled), self._calibration.beta
        log_odds = float(calibrated(np.array(score), beta))
        slope = mean_slope(self._linear.intercept, score, beta)
        return self._decide(log_odds, self._contributions(values, slope * scaled))

    def _values(self, features: Mapping[str, float]) -> Vector:
        missing = [name for name in self.features if name not in features]
        if missing:
            raise ValueError(f"features: expected {self._name}'s {missing}, got {sorted(features)}")
        values = np.array([features[name] for name in self.features], np.float64)
        if not np.isfinite(values).all():
            raise ValueError(f"features: expected finite values, got {dict(features)}")
        return values

    def _contributions(self, values: Vector, scaled: Vector) -> tuple[Contribution, ...]:
        parts = scaled * np.array(self._linear.coefficients)
        found = [
            Contribution(
                feature=feature.name,
                value=float(value),
                mean=mean,
                contribution=float(part),
                meaning=BY_NAME.get(feature.name, feature).meaning,
            )
            for feature, value, mean, part in zip(
                self._features, values, self._linear.mean, parts, strict=True
            )
        ]
        return tuple(sorted(found, key=lambda each: -abs(each.contribution)))

    def _score(self, values: Vector, scaled: Vector) -> float:
        """Return the linear model's log-odds, on which manifest and ONNX model must agree."""
        score = float(scaled @ np.array(self._linear.coefficients)) + self._linear.intercept
        probability = float(expit(score))
        feed = {self._session.get_inputs()[0].name: values[None].astype(np.float32)}
        answered = float(self._session.run(["probabilities"], feed)[0][0, 1])
        if abs(answered - probability) > AGREEMENT:
            raise BundleError(
                f"bundle {self._name}: the model answers {answered:.4f} where its manifest's "
                f"coefficients give {probability:.4f}"
            )
        return score

    def _beyond(self, distance: float) -> Diagnosis:
        unknown = Reason(
            "out-of-distribution",
            "unlike the exams the model was trained on: the features lie "
            f"{distance:.1f} standard distances from them, at most "
            f"{self._distribution.limit:.1f} expected",
        )
        return Diagnosis.withheld(unknown, coverage=self._calibration.coverage)

    def _decide(self, log_odds: float, contributions: tuple[Contribution, ...]) -> Diagnosis:
        calibration, probability = self._calibration, float(expit(log_odds))
        benign = probability <= calibration.benign
        malignant = 1 - probability <= calibration.malignant
        return Diagnosis(
            malignant_probability=probability,
            interval=_interval(log_odds, calibration),
            prevalence=calibration.prevalence,
            decision=_DECISIONS[benign, malignant],
            coverage=calibration.coverage,
            contributions=contributions,
            reasons=_REASONS[benign, malignant],
        )


_DECISIONS: Mapping[tuple[bool, bool], Literal["benign", "malignant", "indeterminate"]] = {
    (True, False): "benign",
    (False, True): "malignant",
    (True, True): "indeterminate",
    (False, False): "indeterminate",
}
_REASONS: Mapping[tuple[bool, bool], tuple[Reason, ...]] = {
    (True, False): (),
    (False, True): (),
    (True, True): (Reason("both-possible", "neither benign nor malignant can be excluded"),),
    (False, False): (Reason("neither-typical", "neither benign nor malignant is typical"),),
}


def _check_sizes(name: str, count: int, linear: Linear, distribution: Distribution) -> None:
    sizes = {
        "mean": len(linear.mean),
        "scale": len(linear.scale),
        "coefficients": len(linear.coefficients),
        "precision": len(distribution.precision),
    }
    wrong = {part: size for part, size in sizes.items() if size != count}
    if wrong or any(len(row) != count for row in distribution.precision):
        raise BundleError(f"bundle {name}: expected {count} values, one per input, got {sizes}")


def _distance(scaled: Vector, distribution: Distribution) -> float:
    """Mahalanobis distance per square root of the number of features."""
    precision = np.array(distribution.precision)
    return float(np.sqrt(max(0.0, scaled @ precision @ scaled) / len(scaled)))


def _interval(log_odds: float, calibration: Calibration) -> tuple[float, float]:
    low, high = (_isotonic_at(log_odds, label, calibration) for label in (0.0, 1.0))
    reach = CERTAIN * standard_error(log_odds, np.array(calibration.log_odds))
    return min(low, float(expit(log_odds - reach))), max(high, float(expit(log_odds + reach)))


def _isotonic_at(log_odds: float, label: float, calibration: Calibration) -> float:
    """Isotonic probability at ``log_odds`` if this exam itself had ``label``."""
    scores = np.array([*calibration.log_odds, log_odds])
    labels = np.array([*calibration.is_malignant, label], np.float64)
    order = np.argsort(scores, kind="stable")
    fitted = isotonic_regression(labels[order]).x
    return float(fitted[np.flatnonzero(order == len(scores) - 1)[0]])
