"""The page on a classifier's training: what stands on it, and that it can be drawn."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dicomnode.report.accuracy import Accuracy, Caption
from dicomnode.report.learning_curve import LearningCurve
from dicomnode.science.feature_table import FEATURES
from dicomnode.training.diagnosis import training_report as module
from dicomnode.training.diagnosis.learning_curve import learning_curve
from dicomnode.training.diagnosis.learnt import (
    Learnt,
    Reader,
    figures,
    learning_figures,
    reader_figures,
)
from dicomnode.training.diagnosis.logistic import fit
from dicomnode.training.diagnosis.training_report import training_report
from dicomnode.training.measured import FeatureTable
from dicomnode.training.scoring.scores import auc

CAPTION = Caption(title="title", notice="notice", conditions="conditions", software="software")
EXAMS = 90


@dataclass(frozen=True)
class Exam:
    """Features are given: there is no loop."""

    key: str
    is_malignant: bool

    @property
    def name(self) -> str:
        return self.key

    @property
    def patient(self) -> str:
        return self.key

    def loop(self) -> Any:
        raise NotImplementedError


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    rng = np.random.default_rng(1)
    is_malignant = np.arange(EXAMS) % 3 == 0
    x = rng.normal(size=(EXAMS, len(FEATURES)))
    x[:, :3] += 0.6 * (2 * is_malignant[:, None] - 1)
    table = FeatureTable(
        features=x,
        measured=tuple(Exam(f"{number}", bool(each)) for number, each in enumerate(is_malignant)),
        refused=(),
    )
    kept = np.arange(8)
    fitted = fit(x[:, kept], is_malignant, coverage=0.9, seed=1)
    growth = learning_curve(x[:, kept], is_malignant, table.patients, fitted.folds, 1)
    return Learnt(table=table, kept=kept, fitted=fitted, growth=growth)


def readers(learnt: Learnt, *shares: float) -> tuple[Reader, ...]:
    """Readers of so large a share of the exams, in five steps."""
    rng = np.random.default_rng(2)
    truth = learnt.table.is_malignant
    return tuple(
        Reader(
            name=f"reader_{number}_$x$_{{",
            scores=np.where(
                rng.random(EXAMS) < share,
                np.clip(np.round(3 + truth + rng.normal(size=EXAMS)), 1, 5),
                np.nan,
            ),
        )
        for number, share in enumerate(shares)
    )


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Accuracy, LearningCurve, tuple[str, ...]]]:
    """What the page was asked to show."""
    asked: list[tuple[Accuracy, LearningCurve, tuple[str, ...]]] = []

    def page(*what: Any) -> np.ndarray:
        asked.append(what)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(module, "training_page", page)
    return asked


def test_the_page_is_a_picture_with_something_on_it(learnt: Learnt) -> None:
    written = training_report(learnt, readers(learnt, 1.0, 0.5, 0.7, 0.4), CAPTION)
    with Image.open(BytesIO(written)) as picture:
        assert (picture.format, picture.size) == ("PNG", (1400, 1800))
        assert len(picture.getcolors(1 << 22) or []) > 100
    assert training_report(learnt, readers(learnt, 1.0, 0.5, 0.7, 0.4), CAPTION) == written


def test_both_confusions_hold_every_exam(learnt: Learnt, shown: list[Any]) -> None:
    training_report(learnt, (), CAPTION)
    ((found, _, _),) = shown
    truth, probability = learnt.table.is_malignant, learnt.probability
    called, decided = found.confusions
    assert called.count.tolist() == [
        [np.sum(truth & (probability >= 0.5)), np.sum(truth & (probability < 0.5))],
        [np.sum(~truth & (probability >= 0.5)), np.sum(~truth & (probability < 0.5))],
    ]
    assert decided.count.sum(axis=1).tolist() == [30, 60]
    rows = {each.name: each.value for each in figures(learnt, "so many exams")}
    right, wrong, unclear = decided.count[0]
    assert rows["sensitivity of the decided"] == pytest.approx(right / (right + wrong), abs=1e-4)
    assert f"sensitivity {right / (right + wrong):.2f} (" in decided.words
    assert rows["share decided"] == pytest.approx(1 - decided.count[:, 2].sum() / EXAMS, abs=1e-4)
    assert unclear > 0


def test_three_readers_stand_beside_the_classifier_on_their_own_cases(
    learnt: Learnt, shown: list[Any]
) -> None:
    four = readers(learnt, 0.5, 1.0, 0.4, 0.8)
    training_report(learnt, four, CAPTION)
    ((found, _, remarks),) = shown
    assert [curve.name[:8] for curve in found.roc] == [
        *("classifi", "reader_1", "reader_3", "reader_0")
    ]
    read = four[3].has_read
    ours = auc(learnt.probability[read], learnt.table.is_malignant[read]).value
    assert found.roc[2].note == f"(the classifier on these {read.sum()}: {ours:.3f})"
    assert remarks[-1].startswith("Readers on the card only: reader_2")
    rows = {each.name: each.value for each in reader_figures(learnt, four)}
    assert rows[f"AUC of the model on {four[3].name}'s"] == pytest.approx(ours, abs=1e-4)
    assert any("reader_2" in name for name in rows)


def test_the_learning_curve_is_on_page_and_card(learnt: Learnt, shown: list[Any]) -> None:
    training_report(learnt, (), CAPTION)
    ((_, growth, _),) = shown
    assert growth.exams.tolist() == [25, 50, 72]
    assert growth.bundle == EXAMS
    card = list(learning_figures(learnt, "so many exams"))
    assert [figure.name.partition(",")[0] for figure in card] == [
        f"AUC having learnt from {count} exams" for count in growth.exams
    ]
    assert [figure.value for figure in card] == pytest.approx(growth.auc.tolist(), abs=1e-4)
    assert "mean of 10 draws (SD 0.0" in card[0].name
    assert "draws" not in card[-1].name
    (conditions,) = {figure.conditions for figure in card}
    assert conditions.endswith("so many exams")
