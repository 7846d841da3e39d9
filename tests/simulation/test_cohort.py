import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dicomnode.simulation import cohort
from dicomnode.simulation.cohort import SHIFTED, shifted
from dicomnode.simulation.perfusion import perfuse
from dicomnode.simulation.recipe import ExamRecipe


def mean_ttp_s(recipe: ExamRecipe) -> float:
    ttp_s = np.array([16.0, 17.0, 12.5, 9.0, 7.0])
    peak = np.array([0.025, 0.42, 1.0, 1.5, 2.0])
    weight = peak * recipe.lesion.fractions
    return float((weight * ttp_s).sum() / weight.sum() * recipe.bolus.time_scale)


def test_a_patient_does_not_depend_on_the_size_of_the_cohort() -> None:
    assert list(cohort(5, 8))[:3] == list(cohort(5, 3))


def test_patients_differ() -> None:
    recipes = list(cohort(5, 20))
    assert len({recipe.seed for recipe in recipes}) == 20
    assert {recipe.kind for recipe in recipes} == {"malignant", "benign"}


def test_kinds_differ_as_in_the_literature_and_overlap() -> None:
    recipes = list(cohort(1, 400))
    ttp = {
        kind: np.array([mean_ttp_s(r) for r in recipes if r.kind == kind])
        for kind in ("malignant", "benign")
    }
    assert ttp["malignant"].mean() < ttp["benign"].mean() - 1.0
    earlier = ttp["malignant"][:, None] < ttp["benign"][None, :]
    assert 0.65 < earlier.mean() < 0.85
    several = {
        kind: np.mean([max(r.lesion.fractions) < 0.7 for r in recipes if r.kind == kind])
        for kind in ("malignant", "benign")
    }
    assert several["malignant"] > several["benign"] + 0.4


def test_fractions_are_shares() -> None:
    for recipe in cohort(2, 50):
        assert np.isclose(sum(recipe.lesion.fractions), 1.0)
        assert all(share == 0 or share >= 0.05 for share in recipe.lesion.fractions)


def drawn(recipe: ExamRecipe, name: str) -> np.ndarray:
    (part,) = [p for p in (recipe.echo, recipe.display) if hasattr(p, name)]
    return np.atleast_1d(getattr(part, name))


@pytest.mark.parametrize("name", SHIFTED)
def test_the_shifted_scanner_is_outside_of_what_is_drawn(name: str) -> None:
    usual = np.array([drawn(recipe, name) for recipe in cohort(3, 300)])
    theirs = np.atleast_1d(SHIFTED[name])
    assert ((theirs > usual.max(axis=0)) | (theirs < usual.min(axis=0))).all()


def test_the_shifted_scanner_shows_the_same_patient() -> None:
    recipe = next(cohort(4, 1))
    other = shifted(recipe)
    assert (other.kind, other.seed) == (recipe.kind, recipe.seed)
    assert (other.lesion, other.bolus, other.tissue) == (recipe.lesion, recipe.bolus, recipe.tissue)
    assert other.echo != recipe.echo


def mean_curve_features(recipe: ExamRecipe) -> list[float]:
    """Peak, time to peak and drop 50 s after arrival of the lesion's mean curve, without noise."""
    times_s = np.arange(0, 80, 0.2)
    perfusion = perfuse(recipe.bolus, duration_s=80.0, lesion_gain=recipe.lesion.gain)
    curve = np.array(recipe.lesion.fractions) @ perfusion.at(times_s)[1:6]
    peak = curve.max()
    arrival_s = times_s[np.argmax(curve > 0.1 * peak)]
    drop = 1 - np.interp(arrival_s + 50, times_s, curve) / peak
    return [np.log(peak), np.log(times_s[curve.argmax()] - arrival_s), drop]


def habitat_features(recipe: ExamRecipe) -> list[float]:
    """What the truth says of the habitats: shares, entropy and how far they lie in shells."""
    shares = np.array(recipe.lesion.fractions)
    present = shares[shares > 0]
    return [*shares, -(present * np.log(present)).sum(), recipe.lesion.rim_weight]


def cross_validated_auc(model: object, features: list[list[float]], labels: list[bool]) -> float:
    scores = cross_val_predict(model, features, labels, cv=10, method="decision_function")
    return float(roc_auc_score(labels, scores))


def test_difficulty_is_what_it_was_fixed_at() -> None:
    recipes = list(cohort(502, 600))
    labels = [recipe.kind == "malignant" for recipe in recipes]
    line = make_pipeline(StandardScaler(), LogisticRegression())
    by_curve = cross_validated_auc(line, [mean_curve_features(r) for r in recipes], labels)
    trees = GradientBoostingClassifier(n_estimators=80, max_depth=2, random_state=0)
    by_habitats = cross_validated_auc(trees, [habitat_features(r) for r in recipes], labels)
    print(f"AUC of the mean curve {by_curve:.3f}, of the true habitats {by_habitats:.3f}")
    assert 0.74 < by_curve < 0.84
    assert 0.92 < by_habitats < 0.98
