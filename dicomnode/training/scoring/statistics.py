"""Means and shares with their intervals, and tests of two sets of answers to the same exams."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from dicomnode.inference.figures import Figure
from dicomnode.training.scoring.scores import placements

__all__ = [
    "Discordance",
    "Gap",
    "Mean",
    "Share",
    "delong",
    "mcnemar",
    "mean_figure",
    "mean_of",
    "wilson",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_REACH = float(norm.ppf(0.975))


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean of ``count`` values with its 95 % confidence interval; none where nothing varies."""

    value: float
    count: int
    low: float | None = None
    high: float | None = None


def mean_of(values: Sequence[float]) -> Mean:
    """Mean of one value or more, ± z · sd / √n."""
    value, count = float(np.mean(values)), len(values)
    error = float(np.std(values, ddof=1)) / sqrt(count) if count > 1 else 0.0
    if error == 0:
        return Mean(value=value, count=count)
    return Mean(value=value, low=value - _REACH * error, high=value + _REACH * error, count=count)


def mean_figure(name: str, values: Sequence[float], conditions: str) -> Figure:
    """Mean of what was found on each of some exams or images."""
    return Figure(name=name, conditions=conditions, **vars(mean_of(values)))


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of ``count`` exams with its 95 % confidence interval."""

    value: float
    low: float
    high: float
    count: int


def wilson(hits: int, count: int) -> Share:
    """Share of ``hits`` among ``count`` exams, at least one, with Wilson's score interval.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n) (Wilson 1927, doi:10.2307/2276774): unlike
    p ± z √(p(1−p)/n) it says something at 0 and at 1 too.
    """
    if not (0 <= hits <= count and count > 0):
        raise ValueError(f"share: expected some of one exam or more, got {hits} of {count}")
    value, weight = hits / count, _REACH**2 / count
    middle = (value + weight / 2) / (1 + weight)
    reach = sqrt(value * (1 - value) * weight + weight**2 / 4) / (1 + weight)
    return Share(
        value=value, low=max(0.0, middle - reach), high=min(1.0, middle + reach), count=count
    )


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Difference of two areas under the ROC curve, its 95 % interval and two-sided p."""

    value: float
    low: float
    high: float
    p: float


def delong(first: Floats, second: Floats, positive: Mask) -> Gap:
    """Test whether two scores of the same exams have the same area under the ROC curve.

    With the placements V10 and V01 of both scores (see
    :func:`dicomnode.training.scoring.scores.auc`) the variance of AUC₁ − AUC₂ is
    var(V10₁ − V10₂)/m + var(V01₁ − V01₂)/n (DeLong, DeLong and Clarke-Pearson 1988,
    doi:10.2307/2531595). Two scores that order all exams alike differ by
    nothing, with p = 1.

    Parameters
    ----------
    first, second : ndarray of float64, shape (N,)
        Higher means more likely positive.
    positive : ndarray of bool, shape (N,)
        At least two of either kind.
    """
    one, other = placements(first, positive), placements(second, positive)
    v10, v01 = one[0] - other[0], one[1] - other[1]
    value = float(v10.mean())
    error = float(np.sqrt(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01)))
    if error == 0:
        return Gap(value=value, low=value, high=value, p=1.0 if value == 0 else 0.0)
    return Gap(
        value=value,
        low=max(-1.0, value - _REACH * error),
        high=min(1.0, value + _REACH * error),
        p=float(2 * norm.sf(abs(value) / error)),
    )


@dataclass(frozen=True, kw_only=True)
class Discordance:
    """Exams that only one of two answers gets right, and the two-sided p of McNemar's test."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first_right: Mask, second_right: Mask) -> Discordance:
    """Test whether two answers to the same exams are right equally often.

    Exact: if they are, the exams that only one gets right fall to either with probability ½
    (McNemar 1947, doi:10.1007/BF02295996). p is 1 where there is no such exam.

    Parameters
    ----------
    first_right, second_right : ndarray of bool, shape (N,)
    """
    only_first = int(np.count_nonzero(first_right & ~second_right))
    only_second = int(np.count_nonzero(second_right & ~first_right))
    discordant = only_first + only_second
    p = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return Discordance(only_first=only_first, only_second=only_second, p=p)
