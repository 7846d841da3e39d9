"""Scores against independent oracles."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dicomnode.science.findings import UNRELIABLE
from dicomnode.training.scoring.overlap import hausdorff_95, overlap
from dicomnode.training.scoring.scores import agreement, auc, icc


def test_dice_of_half_overlapping_masks() -> None:
    one, other = np.zeros((1, 8), bool), np.zeros((1, 8), bool)
    one[0, :4], other[0, 2:6] = True, True
    assert overlap(one, other).dice == 0.5
    assert overlap(one, one).dice == 1.0
    assert overlap(~one & one, ~one & one).dice == 1.0


def test_overlap_counts_pixels_and_distances() -> None:
    truth, found = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    truth[10:20, 10:20], found[10:20, 15:25] = True, True
    scores = overlap(found, truth)
    assert (scores.true_positive, scores.false_positive, scores.false_negative) == (50, 50, 50)
    assert scores.dice == scores.precision == scores.recall == 0.5
    assert scores.iou == pytest.approx(1 / 3)
    assert scores.mean_iou == pytest.approx((1 / 3 + 1450 / 1550) / 2)
    assert scores.pixel_accuracy == 0.9375
    assert hausdorff_95(found, truth, (1.0, 0.5)) == pytest.approx(2.5)
    assert hausdorff_95(truth, truth) == 0
    nothing = np.zeros_like(truth)
    assert hausdorff_95(nothing, truth) == pytest.approx(np.hypot(40, 40))
    assert hausdorff_95(nothing, nothing) == 0
    assert overlap(nothing, nothing).dice == 1


def test_auc_is_sklearns_with_ties() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, 60).astype(float)
    positive = rng.random(60) < 0.4
    assert auc(scores, positive).value == pytest.approx(roc_auc_score(positive, scores))


def test_delongs_interval_covers_the_true_auc_as_often_as_stated() -> None:
    rng = np.random.default_rng(1)
    positive = np.arange(120) % 2 == 0
    truth = 0.760  # P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt 2)
    hits = 0
    for _ in range(300):
        found = auc(rng.normal(size=120) + positive, positive)
        hits += found.low <= truth <= found.high
    assert 0.91 <= hits / 300 <= 0.98


def test_auc_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="expected two or more of either kind, got 3 and 0"):
        auc(np.arange(3.0), np.ones(3, bool))


def test_icc_is_the_share_of_variance_between_subjects() -> None:
    rng = np.random.default_rng(2)
    subject = rng.normal(size=(4000, 1))
    noise = rng.normal(size=(2, 4000, 3)) * (0.0, 1.0, 3.0)
    found = icc(subject + noise[0], subject + noise[1])
    assert np.allclose(found, (1.0, 0.5, 0.1), atol=0.05)


def test_icc_of_a_constant_feature_is_zero() -> None:
    assert icc(np.ones((5, 1)), np.ones((5, 1)))[0] == 0.0


def test_agreement_ignores_outside_and_unreliable_pixels() -> None:
    truth = np.array([[0, 1, 1, 2, 2, 2]], np.uint8)
    found = np.array([[3, 1, 1, 2, 2, UNRELIABLE]], np.uint8)
    assert agreement(found, truth).rand == 1.0
    assert agreement(found, truth).same == 1.0


def test_agreement_of_renumbered_maps_keeps_the_rand_index_only() -> None:
    truth = np.array([1, 1, 2, 2, 3, 3], np.uint8)
    renumbered = np.array([2, 2, 3, 3, 1, 1], np.uint8)
    assert agreement(renumbered, truth).rand == 1.0
    assert agreement(renumbered, truth).same == 0.0
