"""Tests and intervals against independent oracles: the papers' formulas, scipy and sklearn."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm, sem
from sklearn.metrics import brier_score_loss, roc_auc_score

from dicomnode.training.scoring.probabilities import (
    brier,
    calibration_error,
    coverages_if_exchangeable,
    errors_if_perfect,
    net_benefit,
    reliability,
    roc,
    specificity_at,
)
from dicomnode.training.scoring.statistics import delong, mcnemar, mean_of, wilson


def pairs(count: int, gain: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two correlated scores; the first separates the kinds better by ``gain``."""
    rng = np.random.default_rng(seed)
    positive = np.arange(count) % 2 == 0
    common = rng.normal(size=count) + positive
    first = common + 0.7 * rng.normal(size=count) + gain * positive
    return first, common + 0.7 * rng.normal(size=count), positive


def by_covariance(first: np.ndarray, second: np.ndarray, positive: np.ndarray) -> float:
    """DeLong's p from the 2 x 2 covariance matrices, placement by placement."""
    v10 = np.array(
        [
            [np.mean((x > s[~positive]) + 0.5 * (x == s[~positive])) for x in s[positive]]
            for s in (first, second)
        ]
    )
    v01 = np.array(
        [
            [np.mean((x < s[positive]) + 0.5 * (x == s[positive])) for x in s[~positive]]
            for s in (first, second)
        ]
    )
    covariance = np.cov(v10) / positive.sum() + np.cov(v01) / (~positive).sum()
    contrast = np.array([1.0, -1.0])
    z = contrast @ v10.mean(axis=1) / np.sqrt(contrast @ covariance @ contrast)
    return float(2 * norm.sf(abs(z)))


def test_delong_is_the_papers_matrix_formula_with_ties() -> None:
    first, second, positive = pairs(80, 0.5, 3)
    first, second = np.round(first), np.round(second)
    gap = delong(first, second, positive)
    assert gap.p == pytest.approx(by_covariance(first, second, positive))
    areas = roc_auc_score(positive, first), roc_auc_score(positive, second)
    assert gap.value == pytest.approx(areas[0] - areas[1])
    assert gap.low < gap.value < gap.high


def test_delong_rejects_equal_scores_as_often_as_stated_and_unequal_ones_more() -> None:
    equal = np.mean([delong(*pairs(100, 0.0, seed)).p < 0.05 for seed in range(400)])
    better = np.mean([delong(*pairs(100, 1.0, seed)).p < 0.05 for seed in range(100)])
    assert 0.025 <= equal <= 0.085
    assert better > 0.8


def test_delong_of_scores_that_order_alike_is_nothing() -> None:
    first, _, positive = pairs(40, 0.0, 1)
    gap = delong(first, np.exp(first), positive)
    assert (gap.value, gap.low, gap.high, gap.p) == (0.0, 0.0, 0.0, 1.0)


def test_mcnemar_by_hand() -> None:
    first = np.array([True] * 8 + [False] * 1 + [True] * 5 + [False] * 4)
    second = np.array([False] * 8 + [True] * 1 + [True] * 5 + [False] * 4)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (8, 1)
    assert found.p == pytest.approx(2 * (1 + 9) / 2**9)
    assert mcnemar(first, first).p == 1.0


@pytest.mark.parametrize(("hits", "count"), [(0, 7), (7, 7), (3, 10), (391, 400)])
def test_wilson_is_scipys(hits: int, count: int) -> None:
    found = wilson(hits, count)
    theirs = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert found.value == hits / count


def test_a_mean_has_scipys_interval() -> None:
    values = np.random.default_rng(3).normal(5, 2, 40)
    found = mean_of(values.tolist())
    expected = norm.interval(0.95, values.mean(), sem(values))
    assert (found.value, found.count) == (pytest.approx(values.mean()), 40)
    assert (found.low, found.high) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5]])
def test_a_mean_of_what_does_not_vary_has_none(values: list[float]) -> None:
    assert (mean_of(values).value, mean_of(values).low, mean_of(values).high) == (0.5, None, None)


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0 of 0"):
        wilson(0, 0)


def test_brier_is_sklearns() -> None:
    rng = np.random.default_rng(4)
    probability, positive = rng.random(50), rng.random(50) < 0.5
    assert brier(probability, positive) == pytest.approx(brier_score_loss(positive, probability))


def test_calibration_error_by_hand() -> None:
    probability = np.array([0.05, 0.05, 0.72, 0.78, 1.0])
    positive = np.array([False, True, True, True, True])
    bins = reliability(probability, positive)
    assert bins.count.tolist() == [2, 2, 1]
    assert bins.hits.tolist() == [1, 2, 1]
    assert bins.predicted == pytest.approx([0.05, 0.75, 1.0])
    assert calibration_error(probability, positive) == pytest.approx((2 * 0.45 + 2 * 0.25) / 5)


def test_probabilities_that_come_true_have_hardly_any_calibration_error() -> None:
    rng = np.random.default_rng(5)
    probability = rng.random(40_000)
    positive = rng.random(40_000) < probability
    assert calibration_error(probability, positive) < 0.01
    assert calibration_error(probability**3, positive) > 0.1


def test_what_chance_alone_makes_of_perfect_probabilities() -> None:
    rng = np.random.default_rng(6)
    few, many = rng.random(100), rng.random(10_000)
    assert errors_if_perfect(few).mean() > 0.05
    assert errors_if_perfect(many).mean() < 0.015
    came_true = [calibration_error(few, rng.random(100) < few) for _ in range(300)]
    assert errors_if_perfect(few).mean() == pytest.approx(np.mean(came_true), rel=0.05)
    assert not errors_if_perfect(np.repeat([0.0, 1.0], 50)).any()


def test_what_chance_alone_makes_of_a_promised_coverage() -> None:
    """Against conformal sets drawn 4,000 times: thresholds of 60 exams, held against 40 others."""
    rng = np.random.default_rng(7)
    thresholds = np.sort(rng.random((4000, 60)), axis=1)[:, 54]  # the 55th: ceil(61 * 0.9)
    covered = (rng.random((4000, 40)) <= thresholds[:, None]).mean(axis=1)
    mean, low, high = coverages_if_exchangeable(0.9, 60, 40)
    assert mean == pytest.approx(covered.mean(), abs=0.005)
    assert np.mean((covered < low) | (covered > high)) < 0.05
    assert np.mean((covered <= low) | (covered >= high)) > 0.05
    assert coverages_if_exchangeable(0.9, 8, 40).tolist() == [1, 1, 1]


def test_specificity_at_a_sensitivity_by_hand() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    positive = np.array([False, True, False, False, True, True])
    assert specificity_at(0.6, scores, positive) == pytest.approx(1.0)
    assert specificity_at(2 / 3, scores, positive) == pytest.approx(1.0)
    assert specificity_at(0.7, scores, positive) == pytest.approx(1 / 3)


def test_the_area_below_the_roc_curve_is_the_auc() -> None:
    first, _, positive = pairs(60, 0.3, 8)
    across, up = roc(np.round(first), positive)
    assert np.trapezoid(up, across) == pytest.approx(roc_auc_score(positive, np.round(first)))
    assert (across[0], up[0], across[-1], up[-1]) == (0.0, 0.0, 1.0, 1.0)


def test_net_benefit_by_hand() -> None:
    probability = np.array([0.1, 0.3, 0.6, 0.9])
    positive = np.array([False, True, False, True])
    thresholds = np.array([0.05, 0.5, 0.8, 0.95])
    found = net_benefit(probability, positive, thresholds)
    assert found == pytest.approx([(2 - 2 * 0.05 / 0.95) / 4, (1 - 1) / 4, 1 / 4, 0.0])
