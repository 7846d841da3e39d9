"""From a model's score to the log-odds that come true: beta calibration.

Kull, Silva Filho and Flach 2017, AISTATS, PMLR 54:623-631. With p the score's logistic, the
calibrated log-odds are a ln p - b ln(1 - p) + c: Platt's scaling where a equals b; where they
differ, probabilities level off at one end, as where some malignant lesions look benign.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dicomnode.inference.bundle import Beta

__all__ = ["beta_terms", "calibrated", "mean_slope", "standard_error"]

Floats = NDArray[np.float64]

NEAR = 1e-6


def beta_terms(score: Floats) -> Floats:
    """Return ln p and -ln(1 - p) of scores (N,), shape (N, 2)."""
    return np.stack([-np.logaddexp(0, -score), np.logaddexp(0, score)], axis=-1)


def calibrated(score: Floats, beta: Beta) -> Floats:
    """Return the log-odds (N,) of scores (N,); never falling where the score rises."""
    return np.asarray(beta_terms(score) @ np.array([beta.a, beta.b]) + beta.c)


def mean_slope(start: float, end: float, beta: Beta) -> float:
    """Return by how much log-odds rise for each unit of score between two scores.

    What a feature added to a linear score, times this, is what it added to the log-odds: its
    integrated gradient on the straight way from start to end (Sundararajan, Taly and Yan 2017,
    arXiv:1703.01365), which is exact and leaves nothing over.
    """
    if abs(end - start) < NEAR:
        start, end = start - NEAR, start + NEAR
    low, high = calibrated(np.array([start, end]), beta)
    return float((high - low) / (end - start))


def standard_error(log_odds: float, learnt: Floats) -> float:
    """Return by how much calibrated log-odds would vary with the exams (N,) calibrated on.

    That of a logistic regression of the outcomes on their own log-odds, whose coefficients are 0
    and 1 where the calibration is right; the Fisher information tells how well N exams fix them.
    """
    terms = np.stack([np.ones_like(learnt), learnt])
    weights = expit(learnt) * expit(-learnt)
    covariance = np.linalg.pinv((weights * terms) @ terms.T)
    here = np.array([1.0, log_odds])
    return float(np.sqrt(here @ covariance @ here))
