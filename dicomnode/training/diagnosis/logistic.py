"""An elastic-net logistic regression with honest calibration, small enough to print."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from dicomnode.inference.bundle import Beta, Calibration, Distribution, Linear
from dicomnode.inference.calibration import beta_terms, calibrated

__all__ = [
    "Fitted",
    "Fold",
    "as_onnx",
    "beta_calibration",
    "calibrated_apart",
    "divided",
    "fit",
    "refit",
]

Matrix = NDArray[np.float64]

STRENGTHS = tuple(np.logspace(-2, 1, 10))
L1_SHARES = (0.1, 0.5, 0.9)
FOLDS = 5
FAR = 0.99
"""Share of left-out training exams that still lie within the distribution's limit."""
OPSET = 18
STEPS, TOLERANCE = 20_000, 1e-3
"""How long and how closely the coefficients are sought."""
WEAK = 1e4
"""scikit-learn's C of as good as no penalty."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """An outer fold: indices of the exams learnt from and held out, and the strength of its fit."""

    learn: NDArray[np.intp]
    held_out: NDArray[np.intp]
    strength: float
    """Inverse of the penalty, scikit-learn's C, that the inner folds chose."""
    l1_share: float


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The calibrated model and what its out-of-fold answers were."""

    linear: Linear
    calibration: Calibration
    distribution: Distribution
    log_odds: NDArray[np.float64]
    """(N,) calibrated answers to exams that the answering fold had not seen."""
    folds: tuple[Fold, ...]
    """The outer ones."""


def fit(
    x: Matrix,
    is_malignant: NDArray[np.bool_],
    *,
    coverage: float,
    seed: int,
    patients: NDArray[np.str_] | None = None,
) -> Fitted:
    """Fit by nested cross-validation.

    The inner folds choose strength and l1 share, the outer folds give every exam an answer by a
    model that has not seen it. The three numbers of beta calibration are fitted to those answers,
    for the figures without those of the fold that is answered. The conformal thresholds and the
    distribution's limit rest on the outer folds too; that the final model, refitted on all exams,
    answers as they do is an approximation (as in cross-conformal prediction, Vovk 2015,
    doi:10.1007/s10472-013-9368-4).

    Parameters
    ----------
    x : ndarray of float64, shape (N, features)
        None of them constant.
    is_malignant : ndarray of bool, shape (N,)
    coverage : float
        Share of exams whose true class the conformal set holds, class by class.
    patients : ndarray of str, shape (N,), optional
        Whose exam each is: those of one patient are never on both sides of a fold. By default each
        is another patient's.
    """
    owners = np.arange(len(x)) if patients is None else np.unique(patients, return_inverse=True)[1]
    raw = np.empty(len(x))
    far = np.empty(len(x))
    folds = []
    for learn, held_out in divided(is_malignant, owners, seed):
        model = _elastic_net(x[learn], is_malignant[learn], owners[learn], seed)
        raw[held_out] = model.decision_function(x[held_out])
        scaler = model[0]
        precision = _precision(scaler.transform(x[learn]))
        far[held_out] = _distances(scaler.transform(x[held_out]), precision)
        strength, l1_share = float(model[1].C_), float(model[1].l1_ratio_)
        folds.append(Fold(learn=learn, held_out=held_out, strength=strength, l1_share=l1_share))
    log_odds = calibrated_apart(raw, is_malignant, folds)
    final = _elastic_net(x, is_malignant, owners, seed)
    return Fitted(
        linear=_linear(final),
        calibration=_calibration(
            log_odds, is_malignant, coverage, beta_calibration(raw, is_malignant)
        ),
        distribution=Distribution(
            precision=_rows(_precision(final[0].transform(x))),
            limit=_rounded(float(np.quantile(far, FAR))),
        ),
        log_odds=log_odds,
        folds=tuple(folds),
    )


def refit(x: Matrix, is_malignant: NDArray[np.bool_], fold: Fold, seed: int) -> Pipeline:
    """Fit to other exams with the strength and l1 share of a fold; nothing is searched.

    Parameters
    ----------
    x : ndarray of float64, shape (N, features)
    is_malignant : ndarray of bool, shape (N,)
        Some of either kind.
    """
    logistic = LogisticRegression(
        C=fold.strength,
        l1_ratio=fold.l1_share,
        solver="saga",
        max_iter=STEPS,
        tol=TOLERANCE,
        random_state=seed,
    )
    return Pipeline([("scale", StandardScaler()), ("logistic", logistic)]).fit(x, is_malignant)


def divided(
    is_malignant: NDArray[np.bool_], owners: NDArray[np.intp], seed: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Divide exams into folds: indices to learn from and to hold out, no patient among both.

    Parameters
    ----------
    is_malignant : ndarray of bool, shape (N,)
        Either kind is spread over the folds as evenly as the patients allow.
    owners : ndarray of int, shape (N,)
        Whose exam each is.
    seed : int
    """
    if len(np.unique(owners)) == len(owners):
        apart = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        return list(apart.split(owners, is_malignant))
    grouped = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    return list(grouped.split(owners, is_malignant, owners))


def _elastic_net(
    x: Matrix, is_malignant: NDArray[np.bool_], owners: NDArray[np.intp], seed: int
) -> Pipeline:
    search = LogisticRegressionCV(
        Cs=STRENGTHS,
        l1_ratios=L1_SHARES,
        solver="saga",
        max_iter=STEPS,
        tol=TOLERANCE,
        cv=divided(is_malignant, owners, seed + 1),
        scoring="neg_log_loss",
        use_legacy_attributes=False,
        random_state=seed,
    )
    return Pipeline([("scale", StandardScaler()), ("logistic", search)]).fit(x, is_malignant)


def beta_calibration(raw: NDArray[np.float64], is_malignant: NDArray[np.bool_]) -> Beta:
    """Find what calibrates log-odds (N,), of terms that would fall with them none."""
    terms = beta_terms(raw)
    model = LogisticRegression(C=WEAK, max_iter=STEPS).fit(terms, is_malignant)
    weights = model.coef_[0]
    if weights.min() < 0:
        best = int(weights.argmax())
        model = LogisticRegression(C=WEAK, max_iter=STEPS).fit(terms[:, [best]], is_malignant)
        slope, weights = float(model.coef_[0, 0]), np.zeros(2)
        if slope <= 0:  # nothing that the score says comes true
            share = float(is_malignant.mean())
            return Beta(a=0.0, b=0.0, c=float(logit(share)))
        weights[best] = slope
    a, b = weights.tolist()
    return Beta(a=a, b=b, c=float(model.intercept_[0]))


def calibrated_apart(
    raw: NDArray[np.float64], is_malignant: NDArray[np.bool_], folds: Sequence[Fold]
) -> NDArray[np.float64]:
    """Calibrate the log-odds (N,) of each fold's exams by those of all others."""
    log_odds = np.empty(len(raw))
    for fold in folds:
        beta = beta_calibration(raw[fold.learn], is_malignant[fold.learn])
        log_odds[fold.held_out] = calibrated(raw[fold.held_out], beta)
    return log_odds


def _linear(model: Pipeline) -> Linear:
    scaler, logistic = model[0], model[1]
    return Linear(
        mean=tuple(scaler.mean_.tolist()),
        scale=tuple(scaler.scale_.tolist()),
        coefficients=tuple(logistic.coef_[0].tolist()),
        intercept=float(logistic.intercept_[0]),
    )


def _calibration(
    log_odds: NDArray[np.float64], is_malignant: NDArray[np.bool_], coverage: float, beta: Beta
) -> Calibration:
    probability = np.asarray(expit(log_odds))
    return Calibration(
        beta=beta,
        coverage=coverage,
        benign=_threshold(probability[~is_malignant], coverage),
        malignant=_threshold(1 - probability[is_malignant], coverage),
        log_odds=tuple(_rounded(value) for value in log_odds.tolist()),
        is_malignant=tuple(is_malignant.tolist()),
    )


def _threshold(strangeness: NDArray[np.float64], coverage: float) -> float:
    """Conformal quantile: the ⌈(n+1)·coverage⌉-th smallest non-conformity, 1 where n is too few."""
    rank = int(np.ceil((len(strangeness) + 1) * coverage))
    return float(np.sort(strangeness)[rank - 1]) if rank <= len(strangeness) else 1.0


def _precision(scaled: Matrix) -> Matrix:
    precision: Matrix = LedoitWolf(assume_centered=True).fit(scaled).precision_
    return precision


def _distances(scaled: Matrix, precision: Matrix) -> NDArray[np.float64]:
    squared = np.einsum("ij,jk,ik->i", scaled, precision, scaled)
    return np.asarray(np.sqrt(squared / scaled.shape[1]))


def _rows(matrix: Matrix) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(_rounded(value) for value in row) for row in matrix.tolist())


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def as_onnx(linear: Linear) -> bytes:
    """Return the same model as ONNX: features in, label and two probabilities out."""
    count = len(linear.mean)
    scaler = StandardScaler().fit(np.zeros((2, count)))
    scaler.mean_, scaler.scale_ = np.array(linear.mean), np.array(linear.scale)
    scaler.var_ = scaler.scale_**2
    logistic = LogisticRegression().fit(np.eye(2, count), [False, True])
    logistic.coef_ = np.array([linear.coefficients])
    logistic.intercept_ = np.array([linear.intercept])
    logistic.classes_ = np.array([0, 1])
    model = to_onnx(
        Pipeline([("scale", scaler), ("logistic", logistic)]),
        initial_types=[("features", FloatTensorType([None, count]))],
        options={"zipmap": False},
        target_opset=OPSET,
    )
    content: bytes = model.SerializeToString()
    return content
