"""Scores of probabilities of malignancy: ROC curve, calibration and net benefit."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom
from sklearn.metrics import roc_curve

__all__ = [
    "BINS",
    "Reliability",
    "brier",
    "calibration_error",
    "coverages_if_exchangeable",
    "errors_if_perfect",
    "log_loss",
    "net_benefit",
    "reliability",
    "roc",
    "specificity_at",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

BINS = 10
"""Equal-width bins of probability in which calibration is looked at."""
_DRAWS = 2000


def roc(scores: Floats, positive: Mask) -> tuple[Floats, Floats]:
    """Corners of the ROC curve from (0, 0) to (1, 1).

    Returns
    -------
    false_positive, true_positive : ndarray of float64, shape (K,)
        Share of negatives and of positives at or above each threshold, thresholds falling.
    """
    false_positive, true_positive, _ = roc_curve(positive, scores)
    return false_positive, true_positive


def specificity_at(sensitivity: float, scores: Floats, positive: Mask) -> float:
    """Highest specificity among the thresholds that find at least so many of the positives."""
    false_positive, true_positive = roc(scores, positive)
    return float(1 - false_positive[true_positive >= sensitivity].min())


def brier(probability: Floats, positive: Mask) -> float:
    """Mean squared distance of the probabilities from 0 and 1 (Brier 1950).

    Answering ½ to everything gives 0.25.
    """
    return float(np.mean((probability - positive) ** 2))


def log_loss(log_odds: Floats, positive: Mask) -> float:
    """Mean negative logarithm, in nats, of the probability that was given to what came true.

    Taken from log-odds, it stays finite where the probability would round to 0. Answering ½ to
    everything gives ln 2.
    """
    return float(np.mean(np.logaddexp(0, np.where(positive, -log_odds, log_odds))))


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Probabilities in the bins that hold any, side by side with what came true.

    Attributes
    ----------
    predicted : ndarray of float64, shape (K,)
        Mean probability of the exams in the bin.
    hits, count : ndarray of int64, shape (K,)
        How many of them are positive, and how many there are.
    """

    predicted: Floats
    hits: NDArray[np.int64]
    count: NDArray[np.int64]


def reliability(probability: Floats, positive: Mask) -> Reliability:
    """Sort probabilities into ten bins of width 0.1, each with its lower edge; 1 is in the last."""
    number = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(number, minlength=BINS)
    filled = count > 0
    predicted = np.bincount(number, probability, minlength=BINS)[filled] / count[filled]
    hits = np.bincount(number[positive], minlength=BINS)[filled]
    return Reliability(predicted=predicted, hits=hits, count=count[filled])


def calibration_error(probability: Floats, positive: Mask) -> float:
    """Expected calibration error over ten bins of equal width.

    Σ nᵦ/N · |share of positives in bin b − mean probability in bin b| (Naeini, Cooper and
    Hauskrecht 2015, AAAI). With few exams it is well above 0 for perfect probabilities too.
    """
    bins = reliability(probability, positive)
    distance = np.abs(bins.hits / bins.count - bins.predicted)
    return float(distance @ bins.count / bins.count.sum())


def errors_if_perfect(probability: Floats, seed: int = 1) -> Floats:
    """Calibration errors (2000,) that these probabilities would show if each were true.

    What comes true is drawn from them: nothing but chance is left in :func:`calibration_error`.
    """
    drawn = np.random.default_rng(seed).random((_DRAWS, len(probability))) < probability
    return np.array([calibration_error(probability, positive) for positive in drawn])


def coverages_if_exchangeable(coverage: float, calibrated_on: int, exams: int) -> Floats:
    """Mean and 95 % interval (3,) of the share of exams that a conformal set of a class covers.

    With n exams to calibrate on, the number covered of m others follows a beta-binomial
    distribution (Vovk 2012, doi:10.1007/s10994-013-5355-6): nothing but chance is in it, in either
    group of exams, so that no promise holds to the point.

    Parameters
    ----------
    coverage : float
        Promised.
    calibrated_on, exams : int
        Exams of that class, one at least: those that set the threshold, and those counted.
    """
    rank = math.ceil((calibrated_on + 1) * coverage)
    if rank > calibrated_on:
        return np.ones(3)
    covered = betabinom(exams, rank, calibrated_on + 1 - rank)
    return np.array([covered.mean(), *covered.ppf((0.025, 0.975))]) / exams


def net_benefit(probability: Floats, positive: Mask, thresholds: Floats) -> Floats:
    """Net benefit of acting on every exam at or above a threshold of probability.

    TP/N − FP/N · t/(1−t): whoever acts from probability t on holds a missed cancer for (1−t)/t
    times as bad as a needless biopsy (Vickers and Elkin 2006, doi:10.1177/0272989X06295361).
    Acting on all exams is a probability of 1 for each; acting on none is worth 0.

    Parameters
    ----------
    thresholds : ndarray of float64, shape (K,)
        Above 0 and below 1.

    Returns
    -------
    ndarray of float64, shape (K,)
    """
    acted = probability >= thresholds[:, None]
    hits = (acted & positive).sum(axis=1)
    false_alarms = (acted & ~positive).sum(axis=1)
    odds = thresholds / (1 - thresholds)
    return np.asarray((hits - false_alarms * odds) / len(positive))
