"""Baselines of the classifier: the truth itself, and the lesion's mean curve alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dicomnode.simulation.recipe import ExamRecipe
from dicomnode.training.evaluation.outcomes import Outcome
from dicomnode.training.exams import cases

__all__ = ["mean_curve", "oracle"]

PATIENTS = 1000
"""Patients of the classifier's seeds from whose truth the oracle learns; none is evaluated."""

FOLDS = 5

Floats = NDArray[np.float64]


def oracle(answered: Sequence[Outcome]) -> Floats:
    """Log-odds from what the truth says of the habitats: about the best a linear model can do.

    Their shares, the entropy of these, and how far they lie in shells. It learns from the truth
    of other patients, which costs no measurement: within a small cohort it would fall short of
    the ceiling that it stands for.

    Returns
    -------
    ndarray of float64, shape (N,)
        By a logistic regression that has not seen the exams.
    """
    others = cases("classifier", PATIENTS)
    learned = _line().fit(
        [_habitats(each.recipe) for each in others], [each.is_malignant for each in others]
    )
    scores: Floats = learned.decision_function([_habitats(one.case.recipe) for one in answered])
    return scores


def mean_curve(answered: Sequence[Outcome]) -> Floats:
    """Log-odds from the lesion's time to peak, transit time, wash-out and relative enhancement.

    Cross-validated within the exams, in five folds or as many as the rarer kind has exams: with
    fewer than some 200 it falls short of what these features could do.

    Parameters
    ----------
    answered : sequence of Outcome
        Measured exams, at least two of either kind.

    Returns
    -------
    ndarray of float64, shape (N,)
        By logistic regressions that have not seen the exam.
    """
    is_malignant = np.array([each.case.is_malignant for each in answered])
    fewest = int(min(is_malignant.sum(), (~is_malignant).sum()))
    folds = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=1)
    measured = np.array([each.mean_curve for each in answered])
    scores: Floats = cross_val_predict(
        _line(), measured, is_malignant, cv=folds, method="decision_function"
    )
    return scores


def _line() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression())


def _habitats(recipe: ExamRecipe) -> list[float]:
    shares = recipe.lesion.fractions
    return [*shares, float(entropy(shares)), recipe.lesion.rim_weight]
