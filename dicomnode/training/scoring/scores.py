"""Scores of masks, maps and answers that training and evaluation share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import adjusted_rand_score

from dicomnode.science.findings import UNRELIABLE

__all__ = ["Agreement", "Auc", "agreement", "auc", "icc", "placements"]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How alike two sub-region maps are: adjusted Rand index, and share of equal numbers."""

    rand: float
    same: float


def agreement(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Agreement:
    """Compare two sub-region maps where both have a sub-region; 1 where neither has any."""
    both = (found > 0) & (truth > 0) & (found != UNRELIABLE) & (truth != UNRELIABLE)
    if not both.any():
        return Agreement(rand=1.0, same=1.0)
    return Agreement(
        rand=float(adjusted_rand_score(truth[both], found[both])),
        same=float(np.mean(truth[both] == found[both])),
    )


@dataclass(frozen=True, kw_only=True)
class Auc:
    """Area under the ROC curve with its 95 % confidence interval.

    There is none where no exam is out of place: DeLong's would have no width.
    """

    value: float
    low: float | None = None
    high: float | None = None


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> Auc:
    """Area under the ROC curve and DeLong's interval.

    With V10 the share of negatives that each positive beats and V01 the share of positives that
    beat each negative (ties count one half), AUC = mean V10 and
    var = var(V10)/m + var(V01)/n (DeLong, DeLong and Clarke-Pearson 1988, doi:10.2307/2531595).

    Parameters
    ----------
    scores : ndarray of float64, shape (N,)
        Higher means more likely positive.
    positive : ndarray of bool, shape (N,)
        At least two of either kind.
    """
    v10, v01 = placements(scores, positive)
    value = float(v10.mean())
    variance = v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01)
    if not variance:
        return Auc(value=value)
    reach = float(norm.ppf(0.975) * np.sqrt(variance))
    return Auc(value=value, low=max(0.0, value - reach), high=min(1.0, value + reach))


def placements(
    scores: NDArray[np.float64], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each exam stands among those of the other kind: DeLong's V10 and V01.

    Returns
    -------
    v10 : ndarray of float64, shape (positives,)
        Share of the negatives that score lower; ties count one half.
    v01 : ndarray of float64, shape (negatives,)
        Share of the positives that score higher, alike.
    """
    ours, theirs = scores[positive], scores[~positive]
    if min(len(ours), len(theirs)) < 2:
        raise ValueError(
            f"positive: expected two or more of either kind, got {len(ours)} and {len(theirs)}"
        )
    wins = (ours[:, None] > theirs[None]) + 0.5 * (ours[:, None] == theirs[None])
    return wins.mean(axis=1), wins.mean(axis=0)


def icc(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-way intraclass correlation ICC(1,1) of two measurements, feature by feature.

    (B − W) / (B + W) with mean squares between (B) and within (W) subjects (Shrout and Fleiss
    1979, doi:10.1037/0033-2909.86.2.420).

    Parameters
    ----------
    first, second : ndarray of float64, shape (subjects, features)

    Returns
    -------
    ndarray of float64, shape (features,)
        0 where a feature does not vary at all.
    """
    between = 2 * ((first + second) / 2).var(axis=0, ddof=1)
    within = ((first - second) ** 2 / 2).mean(axis=0)
    total = between + within
    return np.where(total > 0, (between - within) / np.where(total > 0, total, 1), 0.0)
