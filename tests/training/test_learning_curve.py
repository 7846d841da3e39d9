"""How answers grow with the exams learnt from, and that nobody is judged who was learnt from."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics

from dicomnode.training.diagnosis import learning_curve as module
from dicomnode.training.diagnosis.learning_curve import (
    DRAWS,
    LearningPoint,
    learning_curve,
    shuffled,
)
from dicomnode.training.diagnosis.logistic import Fitted, Fold, fit
from dicomnode.training.scoring.probabilities import log_loss
from dicomnode.training.scoring.scores import auc

EXAMS, FEATURES = 240, 16


def signal(count: int, seed: int, shift: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Exams whose kinds lie apart in four of many features, which are to be found."""
    rng = np.random.default_rng(seed)
    is_malignant = rng.permutation(count) % 2 == 0
    x = rng.normal(size=(count, FEATURES))
    x[:, :4] += shift * (2 * is_malignant[:, None] - 1)
    return x, is_malignant


def each_her_own(count: int) -> np.ndarray:
    return np.array([f"p{number}" for number in range(count)])


def fold(learn: np.ndarray, held_out: np.ndarray) -> Fold:
    return Fold(learn=learn, held_out=held_out, strength=0.1, l1_share=0.1)


def in_fifths(count: int) -> list[Fold]:
    parts = np.array_split(np.arange(count), 5)
    return [fold(np.setdiff1d(np.arange(count), part), part) for part in parts]


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(*signal(EXAMS, 3), coverage=0.9, seed=1)


@pytest.fixture(scope="module")
def points(fitted: Fitted) -> tuple[LearningPoint, ...]:
    return learning_curve(*signal(EXAMS, 3), each_her_own(EXAMS), fitted.folds, 1)


def test_answers_get_better_with_every_doubling(points: tuple[LearningPoint, ...]) -> None:
    assert [(point.exams, point.draws) for point in points] == [
        *((25, DRAWS), (50, DRAWS), (100, DRAWS), (192, 1))
    ]
    assert (np.diff([point.auc for point in points]) > 0).all()
    assert (np.diff([point.log_loss for point in points]) < 0).all()
    assert points[-1].auc - points[0].auc > 3 * points[0].auc_sd / np.sqrt(DRAWS)
    assert np.isnan(points[-1].auc_sd)


def test_the_last_point_is_the_cross_validation(
    fitted: Fitted, points: tuple[LearningPoint, ...]
) -> None:
    _, is_malignant = signal(EXAMS, 3)
    assert points[-1].auc == pytest.approx(auc(fitted.log_odds, is_malignant).value, abs=0.003)
    assert points[-1].log_loss == pytest.approx(log_loss(fitted.log_odds, is_malignant), abs=0.005)


def test_noise_teaches_nothing() -> None:
    x, is_malignant = signal(EXAMS, 4, shift=0.0)
    found = learning_curve(x, is_malignant, each_her_own(EXAMS), in_fifths(EXAMS), 1)
    assert all(abs(point.auc - 0.5) < 0.1 for point in found)
    assert all(abs(point.log_loss - np.log(2)) < 0.03 for point in found)


def test_the_seed_decides(fitted: Fitted, points: tuple[LearningPoint, ...]) -> None:
    x, is_malignant = signal(EXAMS, 3)
    again, other = (
        learning_curve(x, is_malignant, each_her_own(EXAMS), fitted.folds, seed) for seed in (1, 2)
    )
    assert again[:-1] == points[:-1]
    assert replace(again[-1], auc_sd=0, log_loss_sd=0) == replace(
        points[-1], auc_sd=0, log_loss_sd=0
    )
    assert other[0].auc != points[0].auc


def test_no_patient_is_learnt_from_and_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features that are the patient's number tell a stand-in for the model who is on which side."""
    rng = np.random.default_rng(5)
    owner = rng.integers(0, 60, 150)
    is_malignant = owner % 2 == 0
    patients = np.array([f"p{number}" for number in owner])
    fitted = fit(
        np.column_stack([is_malignant + rng.normal(size=150), rng.normal(size=150)]),
        is_malignant, coverage=0.9, seed=1, patients=patients,
    )  # fmt: skip
    sides: list[tuple[set[float], set[float]]] = []

    def noted(x: np.ndarray, truth: np.ndarray, fold: Fold, seed: int) -> SimpleNamespace:
        def judge(others: np.ndarray) -> np.ndarray:
            sides.append((set(x[:, 0]), set(others[:, 0])))
            return np.linspace(-1, 1, len(others))

        assert min(truth.sum(), (~truth).sum()) >= 2
        return SimpleNamespace(decision_function=judge)

    monkeypatch.setattr(module, "refit", noted)
    found = learning_curve(owner[:, None].astype(float), is_malignant, patients, fitted.folds, 1)
    assert [point.exams for point in found] == [25, 50, 120]
    assert len(sides) == 5 * (2 * DRAWS + 1)
    assert not any(learnt & judged for learnt, judged in sides)


def test_a_beginning_holds_both_kinds_in_proportion_and_whole_patients() -> None:
    rng = np.random.default_rng(6)
    owner = np.repeat(np.arange(60), 3)
    is_malignant = owner % 3 == 0
    exams = rng.permutation(180)[:150]
    order = shuffled(exams, is_malignant, owner.astype(str), rng)
    assert sorted(order) == sorted(exams)
    for size in (10, 25, 50, 100):
        share = is_malignant[exams].mean()
        assert abs(is_malignant[order[:size]].sum() - share * size) <= 1
        begun = np.unique(owner[order[:size]])
        cut = [one for one in begun if one in owner[order[size:]]]
        assert len(cut) <= 2  # one of either kind


def test_a_point_with_too_few_of_a_kind_to_learn_from_is_left_out() -> None:
    x, _ = signal(100, 7)
    is_malignant = np.arange(100) % 20 < 2
    folds = in_fifths(100)
    common = learning_curve(x, is_malignant, each_her_own(100), folds, 1)
    assert [point.exams for point in common] == [25, 50, 80]
    rare = [
        fold(np.append(each.learn[~is_malignant[each.learn]], other.held_out[:2]), each.held_out)
        for each, other in zip(folds, folds[1:] + folds[:1], strict=True)
    ]
    (only,) = learning_curve(x, is_malignant, each_her_own(100), rare, 1)
    assert only.exams == 72 + 2


def test_folds_that_cannot_be_judged_have_no_curve() -> None:
    x, is_malignant = signal(100, 8)
    folds = in_fifths(100)
    one_kind = np.flatnonzero(is_malignant)[:10]
    lopsided = fold(np.setdiff1d(np.arange(100), one_kind), one_kind)
    assert learning_curve(x, is_malignant, each_her_own(100), [*folds[1:], lopsided], 1) == ()


def test_a_small_cohort_has_its_last_point_only() -> None:
    x, _ = signal(30, 9)
    is_malignant = np.arange(30) % 2 == 0
    (only,) = learning_curve(x, is_malignant, each_her_own(30), in_fifths(30), 1)
    assert (only.exams, only.draws) == (24, 1)


def test_log_loss_is_scikit_learns_and_finite_where_that_is_not() -> None:
    rng = np.random.default_rng(10)
    log_odds, positive = rng.normal(size=50), rng.random(50) < 0.5
    expected = metrics.log_loss(positive, 1 / (1 + np.exp(-log_odds)))
    assert log_loss(log_odds, positive) == pytest.approx(expected)
    assert log_loss(np.array([800.0]), np.array([False])) == pytest.approx(800)
