"""Learning curve: answers to exams that were not learnt from, by the number of exams that were."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.training.diagnosis.logistic import Fold, calibrated_apart, refit
from dicomnode.training.scoring.probabilities import log_loss
from dicomnode.training.scoring.scores import auc

__all__ = ["DRAWS", "LearningPoint", "learning_curve", "shuffled"]

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]
Patients = NDArray[np.str_]
Indices = NDArray[np.intp]

DRAWS = 10
SMALLEST = 25
"""Exams of the first point; every further one has twice as many."""
NEAR = 0.7
"""Share of all exams there are to learn from, beyond which a point says what all of them do."""
LEAST_OF_EACH = 2
"""Exams of either kind, without which nothing is learnt or judged."""


@dataclass(frozen=True, kw_only=True)
class LearningPoint:
    """Answers of models that learnt from so many exams, judged by exams they had not seen.

    Attributes
    ----------
    exams : int
        Exams learnt from; of the last point, their mean over the folds.
    draws : int
        How often they were chosen at random in every fold.
    auc, log_loss : float
        Mean over the draws, of all folds' answers together. Log loss in nats, after calibration as
        the bundle's: by beta calibration, without the fold that is answered.
    auc_sd, log_loss_sd : float
        Standard deviation over the draws, NaN where there is but one. All draws are judged by the
        same exams, whose own chance is not in it.
    """

    exams: int
    draws: int
    auc: float
    auc_sd: float
    log_loss: float
    log_loss_sd: float


def learning_curve(
    x: Matrix, is_malignant: Mask, patients: Patients, folds: Sequence[Fold], seed: int
) -> tuple[LearningPoint, ...]:
    """Learn from ever more of each outer fold's exams, and judge those that it holds out.

    A fit takes milliseconds, since nothing is searched anew: strength and l1 share are those that
    the inner folds chose on all of the fold's exams, none of them held out. Fewer exams would
    mostly have chosen a stronger penalty for themselves, which moves their points a little either
    way.

    Parameters
    ----------
    x : ndarray of float64, shape (N, features)
    is_malignant : ndarray of bool, shape (N,)
    patients : ndarray of str, shape (N,)
        Whose exam each is.
    folds : sequence of Fold
        Each exam is held out by one of them, and no patient is on both sides of any.
    seed : int

    Returns
    -------
    tuple of LearningPoint
        Of 25, 50, 100, ... exams, and of all that the folds have to learn from, which is the
        cross-validation itself. A point that in any draw would learn from, or in any fold be
        judged by, fewer than two exams of either kind is left out.
    """
    rng = np.random.default_rng(seed)
    draws = [
        [shuffled(fold.learn, is_malignant, patients, rng) for fold in folds] for _ in range(DRAWS)
    ]
    points = []
    for size in _sizes(folds):
        learnt = [[order[:size] for order in draw] for draw in draws[: DRAWS if size else 1]]
        chosen = [*(each for draw in learnt for each in draw), *(fold.held_out for fold in folds)]
        if all(_holds_both(is_malignant[each]) for each in chosen):
            points.append(_point(x, is_malignant, folds, learnt, seed))
    return tuple(points)


def shuffled(
    exams: Indices, is_malignant: Mask, patients: Patients, rng: np.random.Generator
) -> Indices:
    """Put exams in a random order to learn from, as a cohort would grow.

    Every beginning of it holds the two kinds in proportion and, of each kind, one patient after
    another.

    Parameters
    ----------
    exams : ndarray of int, shape (K,)
        Which of the N exams.
    is_malignant, patients : ndarrays, shape (N,)
    """
    names, owner = np.unique(patients[exams], return_inverse=True)
    turn = rng.permutation(len(names))[owner]
    place = np.empty(len(exams))
    for kind in (False, True):
        alike = np.flatnonzero(is_malignant[exams] == kind)
        place[alike[np.argsort(turn[alike], kind="stable")]] = np.linspace(0, 1, len(alike))
    return np.asarray(exams[np.argsort(place, kind="stable")])


def _sizes(folds: Sequence[Fold]) -> Iterator[int | None]:
    """Numbers of exams to learn from; None, at the end, is all of them."""
    size, fewest = SMALLEST, min(len(fold.learn) for fold in folds)
    while size <= NEAR * fewest:
        yield size
        size *= 2
    yield None


def _holds_both(is_malignant: Mask) -> bool:
    return bool(min(is_malignant.sum(), (~is_malignant).sum()) >= LEAST_OF_EACH)


def _point(
    x: Matrix,
    is_malignant: Mask,
    folds: Sequence[Fold],
    learnt: Sequence[Sequence[Indices]],
    seed: int,
) -> LearningPoint:
    """Judge what was learnt from some exams of every fold, draw by draw."""
    areas, losses = [], []
    for draw in learnt:
        raw = np.empty(len(x))
        for fold, exams in zip(folds, draw, strict=True):
            model = refit(x[exams], is_malignant[exams], fold, seed)
            raw[fold.held_out] = model.decision_function(x[fold.held_out])
        log_odds = calibrated_apart(raw, is_malignant, folds)
        areas.append(auc(raw, is_malignant).value)
        losses.append(log_loss(log_odds, is_malignant))
    return LearningPoint(
        exams=round(np.mean([len(exams) for exams in learnt[0]])),
        draws=len(learnt),
        auc=float(np.mean(areas)),
        auc_sd=_spread(areas),
        log_loss=float(np.mean(losses)),
        log_loss_sd=_spread(losses),
    )


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
