"""Training and evaluation hold an uncertain outline as the node does: nothing is made of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomnode.config import default_models_dir
from dicomnode.inference.segment import Segmentation, Segmenter
from dicomnode.training.evaluation.outcomes import analyse_all
from dicomnode.training.exams import Case, cases
from dicomnode.training.measured import FeatureCache


@pytest.fixture
def case() -> Case:
    return cases("classifier", 1, 1)[0]


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped segmenter, never sure."""
    segment = Segmenter.segment

    def unsure(
        self: Segmenter,
        images: Mapping[str, NDArray[np.float32]],
        spacing_mm: tuple[float, float],
    ) -> Segmentation:
        return replace(segment(self, images, spacing_mm), uncertainty=0.9)

    monkeypatch.setattr(Segmenter, "segment", unsure)


@pytest.mark.usefixtures("doubtful")
def test_a_classifier_learns_nothing_from_it(case: Case, tmp_path: Path) -> None:
    table = FeatureCache(tmp_path, default_models_dir()).table([case])
    assert not table.measured
    assert [refusal.reasons for refusal in table.refused] == [("uncertain-outline",)]


@pytest.mark.usefixtures("doubtful")
def test_an_evaluation_counts_it_as_unanswered(case: Case) -> None:
    ((outcome,),) = analyse_all([default_models_dir()], [case], 1)
    assert outcome.malignant_probability is None
    assert (outcome.answer, outcome.reasons) == ("indeterminate", ("uncertain-outline",))


def test_a_sure_outline_is_learnt_from(case: Case, tmp_path: Path) -> None:
    table = FeatureCache(tmp_path, default_models_dir()).table([case])
    assert [subject.name for subject in table.measured] == [case.name]
