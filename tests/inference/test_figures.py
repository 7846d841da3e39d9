"""What a result says of how well its models do."""

import pytest
from pydantic import ValidationError

from dicomnode.config import default_models_dir
from dicomnode.inference.figures import HEADLINES, Figure, headlines
from dicomnode.inference.models import load_models

HELD_OUT, BUSI = "1200 simulated exams", "502 lesions, BUSI, B-mode only"


def test_headlines_are_said_with_interval_count_and_what_they_were_obtained_on() -> None:
    figures = (
        Figure(name="mean Dice", value=0.76321, conditions=BUSI),
        Figure(name="AUC", value=0.923, low=0.907, high=0.9391, count=1171, conditions=HELD_OUT),
        Figure(name="Brier score", value=0.1, conditions=HELD_OUT),
        Figure(name="conformal coverage, benign", value=0.9, count=590, conditions=HELD_OUT),
    )
    overlap, diagnosis = headlines(figures)
    assert overlap == "mean Dice 0.763. Obtained on: 502 lesions, BUSI, B-mode only."
    assert diagnosis == (
        "AUC 0.923 (95 % 0.907 to 0.939, n = 1171); conformal coverage, benign 0.900 (n = 590). "
        "Obtained on: 1200 simulated exams."
    )


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"value": float("nan")}, "finite"),
        ({"conditions": "  "}, "at least 1 character"),
        ({"name": ""}, "at least 1 character"),
        ({"count": 0}, "greater than or equal to 1"),
        ({"low": 0.8}, "both or neither"),
        ({"low": 0.95, "high": 0.99}, "low <= value <= high"),
    ],
)
def test_a_figure_that_could_not_be_said_is_refused(odd: dict[str, object], message: str) -> None:
    sound = {"name": "AUC", "value": 0.9, "conditions": HELD_OUT}
    assert Figure.model_validate(sound).words == "AUC 0.900"
    with pytest.raises(ValidationError, match=message):
        Figure.model_validate(sound | odd)


def test_a_sentence_is_one_line_and_ends_once() -> None:
    figure = Figure(name="AUC", value=0.9, conditions="200 cases\nof our hospital.")
    assert headlines([figure]) == ("AUC 0.900. Obtained on: 200 cases of our hospital.",)


def test_every_shipped_bundle_says_its_headlines_and_that_they_are_simulated_or_of_busi() -> None:
    said = [sentence for use in load_models(default_models_dir()).uses for sentence in use.figures]
    assert all("simulated exams" in each or "BUSI, B-mode" in each for each in said)
    assert [name for name in HEADLINES if not any(f"{name} " in each for each in said)] == []
