"""What an evaluation says: figures from outcomes, side by side, on a page and in a file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dicomnode.cli import evaluate as command
from dicomnode.config import default_models_dir
from dicomnode.inference.bundle import Calibration
from dicomnode.training.evaluation.bundles import (
    NOTICE,
    Evaluation,
    EvaluationSettings,
    assembled,
    evaluate_bundles,
)
from dicomnode.training.evaluation.document import write_evaluation
from dicomnode.training.evaluation.figures import compared
from dicomnode.training.evaluation.outcomes import Outcome
from dicomnode.training.exams import Case
from dicomnode.training.scoring.probabilities import coverages_if_exchangeable
from parts.outcomes import USE, by_name, outcomes


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return assembled((USE,), "held-out", outcomes())


def test_every_figure_counts_the_exams_it_rests_on(found: Evaluation) -> None:
    scores = by_name(found.figures)
    decided = [one for one in found.outcomes if one.is_decided]
    assert scores["mean lesion Dice"].count == 39
    assert scores["AUC"].count == scores["Brier score"].count == 38
    assert scores["sensitivity at probability 0.5"].count == 19
    both = [scores[f"{name} of the decided"].count for name in ("sensitivity", "specificity")]
    assert sum(both) == len(decided)
    assert scores["share refused or without a probability"].value == 2 / 40
    layouts = [score for name, score in scores.items() if name.startswith("mean lesion Dice,")]
    assert sum(score.count for score in layouts) == 39


def test_sensitivity_at_the_operating_point_and_of_the_decided_differ(found: Evaluation) -> None:
    sick = [one for one in found.outcomes if one.case.is_malignant]
    called = [one.malignant_probability >= 0.5 for one in sick if one.malignant_probability]
    right = [one.answer == "malignant" for one in sick if one.is_decided]
    scores = by_name(found.figures)
    assert scores["sensitivity at probability 0.5"].value == pytest.approx(np.mean(called))
    assert scores["sensitivity of the decided"].value == pytest.approx(np.mean(right))


@pytest.mark.parametrize(
    ("answer", "reasons", "covered"),
    [
        ("malignant", (), True),
        ("benign", (), False),
        ("indeterminate", ("both-possible",), True),
        ("indeterminate", ("neither-typical",), False),
    ],
)
def test_a_conformal_set_holds_the_truth_or_not(
    answer: str, reasons: tuple[str, ...], covered: bool
) -> None:
    one = Outcome(
        case=Case("malignant", 1), answer=answer, malignant_probability=0.5, reasons=reasons
    )
    assert one.covers_truth is covered


def test_coverage_stands_beside_what_chance_allows() -> None:
    calibration = Calibration(
        coverage=0.9, benign=0.8, malignant=0.8, log_odds=(0.0,) * 60,
        is_malignant=(True,) * 20 + (False,) * 40,
    )  # fmt: skip
    scores = by_name(assembled((USE,), "held-out", outcomes(), calibration).figures)
    for kind, count in (("malignant", 20), ("benign", 40)):
        chance = scores[f"the same if exams were as those learnt from, {kind}"]
        assert chance.count == scores[f"conformal coverage, {kind}"].count == 19
        expected = coverages_if_exchangeable(0.9, count, 19)
        assert [chance.value, chance.low, chance.high] == expected.tolist()


def test_the_oracle_knows_more_than_a_curve_that_says_nothing(found: Evaluation) -> None:
    scores = by_name(found.figures)
    oracle = scores["AUC of the oracle (true habitats)"].value
    assert oracle > scores["AUC of the mean curve (cross-validated)"].value + 0.1
    assert scores["AUC, share of the oracle's"].value == scores["AUC"].value / oracle
    assert scores["AUC minus that of the mean curve (DeLong)"].p < 0.05


def test_too_few_answers_leave_out_what_they_do_not_allow(tmp_path: Path) -> None:
    few = assembled((USE,), "held-out", outcomes()[:3])
    assert "AUC" not in by_name(few.figures)
    assert [path.name for path in write_evaluation(few, tmp_path)] == ["evaluation.json"]
    none = assembled((USE,), "held-out", outcomes()[:2])
    assert by_name(none.figures)["share refused or without a probability"].value == 1.0


def test_an_area_of_one_has_no_interval() -> None:
    perfect = [
        replace(one, malignant_probability=0.9 if one.case.is_malignant else 0.1)
        for one in outcomes()[2:]
    ]
    area = by_name(assembled((USE,), "held-out", perfect).figures)["AUC"]
    assert (area.value, area.low, area.high) == (1.0, None, None)


def test_two_sets_of_answers_to_the_same_exams_are_compared_in_pairs() -> None:
    ours, theirs = outcomes(), outcomes(seed=1)
    scores = by_name(compared(ours, theirs))
    right = np.array([[one.is_right for one in side] for side in (ours, theirs)])
    assert scores["exams only the first gets right"].value == np.sum(right[0] & ~right[1])
    assert scores["AUC, difference (DeLong)"].count == 38
    same = by_name(compared(ours, ours))
    assert same["AUC, difference (DeLong)"].p == 1.0
    assert same["share of right answers, difference (McNemar)"].p == 1.0


def test_the_record_holds_every_outcome_and_the_page_its_notice(
    found: Evaluation, tmp_path: Path
) -> None:
    other = assembled((USE,), "held-out", outcomes(seed=1))
    both = replace(found, against=other, comparison=compared(found.outcomes, other.outcomes))
    document, page = write_evaluation(both, tmp_path)
    record = json.loads(document.read_text())
    assert record["notice"] == record["against"]["notice"] == NOTICE
    assert len(record["outcomes"]) == len(record["against"]["outcomes"]) == 40
    assert sum(cell["count"] for cell in record["confusion"]) == 40
    assert {score["name"] for score in record["figures"]} == set(by_name(found.figures))
    with Image.open(page) as picture:
        assert picture.size == (1400, 1240)
        assert len(picture.getcolors(1 << 20) or []) > 100


def test_every_table_printed_says_what_it_is_not(
    found: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = assembled((USE,), "held-out", outcomes(seed=1))
    both = replace(found, against=other, comparison=compared(found.outcomes, other.outcomes))
    monkeypatch.setattr(command, "evaluate_bundles", lambda settings: both)
    result = CliRunner().invoke(command.evaluate, ["--output", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.output.count(NOTICE) == 7
    assert "evaluation.png" in result.output
    assert "conformal coverage, malignant" in result.output


def test_the_number_of_processes_and_of_exams_changes_no_outcome() -> None:
    models = default_models_dir()
    settings = EvaluationSettings(models=models, exams=1, cohort="shifted")
    alone = evaluate_bundles(settings)
    shared = evaluate_bundles(replace(settings, against=models, exams=2, jobs=2))
    assert shared.outcomes[:1] == alone.outcomes
    assert shared.against is not None
    assert shared.against.outcomes == shared.outcomes
    assert all(one.case.is_shifted for one in shared.outcomes)
