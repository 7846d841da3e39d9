import numpy as np

from dicomnode.simulate import cohort
from dicomnode.simulate.recipe import ExamRecipe


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
