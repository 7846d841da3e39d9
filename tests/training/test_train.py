"""Codebook and classifier from simulated exams to bundles that the node loads, in small."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from dicomnode.inference.models import Models, load_models
from dicomnode.training import codebook
from dicomnode.training.codebook import CodebookSettings
from dicomnode.training.diagnosis import classifier
from dicomnode.training.diagnosis.classifier import ClassifierSettings
from dicomnode.training.evaluation.bundles import Evaluation, EvaluationSettings, evaluate_bundles
from dicomnode.training.exams import SEEDS, cases

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped segmenter with a codebook and a classifier made from a handful of exams."""
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / "segmenter", root / "segmenter")
    codebook.train(CodebookSettings(bundle=root / "codebook", exams=12, held_out_exams=1))
    classifier.train(
        ClassifierSettings(
            models=root, bundle=root / "classifier", work=root / "work", exams=14, repeats=2
        )
    )
    return root


@pytest.fixture(scope="module")
def models(directory: Path) -> Models:
    return load_models(directory)


@pytest.fixture(scope="module")
def evaluation(directory: Path) -> Evaluation:
    return evaluate_bundles(EvaluationSettings(models=directory, exams=2))


def test_the_bundles_load_together_and_say_they_are_from_simulation(models: Models) -> None:
    assert [use.name for use in models.uses] == ["segmenter", "codebook", "classifier"]
    assert all("simulated exams" in use.trained_on for use in models.uses)


def test_the_codebook_numbers_are_the_simulators(models: Models) -> None:
    assert models.codebook.names == (
        "non-perfused", "slow low", "intermediate", "fast in slow out", "fast in fast out"
    )  # fmt: skip
    peak, rise = models.codebook.means[:, 0], models.codebook.means[:, 3]
    assert peak.argmin() == 0
    assert rise[3] < rise[1]
    assert rise[4] < rise[1]


def test_every_card_says_what_it_must(directory: Path) -> None:
    for name in ("segmenter", "codebook", "classifier"):
        card = (directory / name / "card.md").read_text()
        assert "not clinical accuracy" in card
        assert "Nothing here is clinically validated" in card


def test_a_classifier_comes_with_a_page_on_its_training(directory: Path) -> None:
    with Image.open(directory / "classifier" / "report.png") as page:
        assert page.size == (1400, 1800)
        assert len(page.getcolors(1 << 22) or []) > 100
    assert not (directory / "codebook" / "report.png").exists()


def test_fourteen_exams_are_too_few_for_a_learning_curve(directory: Path) -> None:
    assert "having learnt from" not in (directory / "classifier" / "card.md").read_text()


def test_an_interrupted_run_measures_nothing_twice(directory: Path) -> None:
    (notes,) = (directory / "work").glob("measured-*.jsonl")
    assert len(notes.read_text().splitlines()) == 14 + 2 * 4
    names = "manifest.toml", "report.png"
    before = [(directory / "classifier" / name).read_bytes() for name in names]
    classifier.train(
        ClassifierSettings(
            models=directory,
            bundle=directory / "classifier",
            work=directory / "work",
            exams=14,
            repeats=2,
        )
    )
    assert len(notes.read_text().splitlines()) == 14 + 2 * 4
    assert [(directory / "classifier" / name).read_bytes() for name in names] == before


def test_evaluation_accounts_for_every_exam(evaluation: Evaluation) -> None:
    assert sum(evaluation.confusion.values()) == len(evaluation.outcomes) == 2
    assert "simulated exams" in evaluation.conditions
    assert all(
        outcome.lesion_dice is None or 0 <= outcome.lesion_dice <= 1
        for outcome in evaluation.outcomes
    )


def test_no_two_cohorts_share_an_exam() -> None:
    seeds = [{case.seed for case in cases(name, 10_000, 100)} for name in SEEDS]
    assert len(set().union(*seeds)) == sum(len(each) for each in seeds)


def test_a_cohort_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="expected up to 10000 exams and a seed from 1 to 100"):
        cases("codebook", 10_001)
