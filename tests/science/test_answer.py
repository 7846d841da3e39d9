"""The words of an answer: what is so by its sign, what it assumes, and nothing surer than it is."""

from dataclasses import replace

import pytest

from dicomnode.dicom import codes
from dicomnode.errors import Reason
from dicomnode.science.answer import (
    because,
    headline,
    in_short,
    mean_of,
    premises,
    range_of,
    summary_line,
    verdict,
    why_line,
)
from dicomnode.science.feature_table import BY_NAME, FEATURES, Feature
from dicomnode.science.findings import Contribution, Diagnosis

DECIDED = Diagnosis(
    malignant_probability=0.12,
    interval=(0.08, 0.17),
    prevalence=0.5,
    decision="benign",
    coverage=0.9,
    contributions=(),
)
BOTH = Reason("both-possible", "neither benign nor malignant can be excluded")
OPEN = replace(
    DECIDED,
    decision="indeterminate",
    malignant_probability=0.41,
    interval=(0.33, 0.52),
    reasons=(BOTH,),
)
WITHHELD = Diagnosis.withheld(Reason("uncertain-outline", "the outline is uncertain: 0.71"))


def item(
    feature: str, value: float, contribution: float = 0.61, mean: float = -3.1
) -> Contribution:
    return Contribution(
        feature=feature, value=value, mean=mean, contribution=contribution, meaning="a number"
    )


@pytest.mark.parametrize(
    ("feature", "value", "said"),
    [
        ("relative_ttp", -8.02, "peaks 8.0 s earlier than tissue"),
        ("relative_ttp", 8.02, "peaks 8.0 s later than tissue"),
        ("relative_ttp", -0.04, "peaks when tissue does"),
        ("relative_log_pe", 0.921, "brighter than tissue by 4.0 dB"),
        ("relative_log_pe", -0.921, "darker than tissue by 4.0 dB"),
        ("relative_log_pe", 0.001, "as bright as tissue"),
        ("relative_log_pe", 0.0, "not measured: relative log pe"),
        ("enlargement_ratio", 1.0, "not measured: enlargement ratio"),
        ("texture_correlation", -0.2, "texture correlation −0.20 of near spots"),
        ("relative_log_mtt", 0.3365, "transit 40 % longer than in tissue"),
        ("relative_log_mtt", -0.3567, "transit 30 % shorter than in tissue"),
        ("rim_core_log_pe", -1.6, "rim darker than core by 6.9 dB"),
        ("rim_core_ttp", -1.6, "rim peaks 1.6 s earlier than core"),
        ("ring_log_pe", -0.778, "surroundings darker than lesion by 3.4 dB"),
        ("ring_ttp", 2.8, "surroundings peak 2.8 s later than lesion"),
        ("ttp", 12.4, "peaks 12.4 s after arrival"),
        ("fraction_non_perfused", 0.234, "23 % is non-perfused"),
        ("wash_out_50s", 0.31, "31 % washed out 50 s after arrival"),
        ("of a site", 1.2345, "a number 1.23"),
    ],
)
def test_a_feature_is_said_by_its_sign(feature: str, value: float, said: str) -> None:
    assert because(item(feature, value)) == said


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
@pytest.mark.parametrize("value", [-2.5, -1e-9, 0.0, 1e-9, 0.4, 2.5])
def test_what_is_said_never_carries_a_sign_or_a_gap(feature: Feature, value: float) -> None:
    said = feature.said(value)
    assert "-" not in said.replace("non-perfused", "").replace("sub-region", "")
    assert ("−" in said) == (feature.name == "texture_correlation" and value < -0.01)
    assert "{" not in said
    assert len(said) <= 46, "the panel has no more room"
    if feature.below and abs(value) > 0.1:
        assert feature.said(-value) != said


def test_a_difference_has_words_for_either_sign_and_for_none() -> None:
    for feature in FEATURES:
        assert bool(feature.below) is bool(feature.level), feature.name
        code = codes.contribution(feature.name, feature.meaning)
        assert code.meaning.endswith(feature.meaning), "a code's meaning must hold all of it"
        assert not any(word in feature.meaning for word in ("later", "brighter", "longer"))


def test_the_average_is_written_with_its_sign() -> None:
    assert mean_of(item("relative_ttp", 1.0, mean=-3.1)) == "−3.1 s"
    assert mean_of(item("relative_log_pe", 1.0, mean=0.458)) == "+2.0 dB"
    assert mean_of(item("relative_ttp", 1.0, mean=-0.01)) == "0.0 s"
    assert mean_of(item("ttp", 1.0, mean=10.7)) == "10.7 s"
    assert mean_of(item("of a site", 1.0, mean=0.5)) == "0.5"


def test_a_line_says_what_is_what_is_usual_and_where_to_it_moves() -> None:
    assert why_line(item("relative_ttp", -8.02)) == (
        "peaks 8.0 s earlier than tissue (average −3.1 s): towards malignant by 0.61"
    )
    assert why_line(item("ttp", 12.4, -0.28, 10.7)).endswith("towards benign by 0.28")


@pytest.mark.parametrize(
    ("diagnosis", "title", "short"),
    [
        (DECIDED, "Probability of malignancy 12 %", "malignancy 12 %, model answers benign"),
        (OPEN, "Indeterminate", "malignancy 41 %, indeterminate"),
        (WITHHELD, "Not judged", "not judged"),
    ],
)
def test_the_headline_is_a_probability_or_that_there_is_no_answer(
    diagnosis: Diagnosis, title: str, short: str
) -> None:
    assert (headline(diagnosis), in_short(diagnosis)) == (title, short)


def test_the_whole_answer_stands_on_one_line() -> None:
    assert summary_line(DECIDED) == (
        "Probability of malignancy 12 % (8 to 17 %); the model answers: benign"
    )
    assert summary_line(OPEN) == (
        f"Indeterminate. Probability of malignancy 41 % (33 to 52 %); {BOTH.text}"
    )
    assert summary_line(WITHHELD) == "Not judged: the outline is uncertain: 0.71"


def test_what_is_missing_is_said() -> None:
    assert verdict(Diagnosis.withheld()) == "the classifier gave no answer"
    assert verdict(replace(OPEN, reasons=())) == "the answer is not certain enough either way"


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((0.08, 0.17), "8 to 17 %"),
        ((0.12, 0.17), "up to 17 %"),
        ((0.118, 0.17), "up to 17 %"),
        ((0.08, 0.12), "8 % or more"),
        ((0.12, 0.12), ""),
        ((0.004, 0.17), "<1 to 17 %"),
        (None, ""),
    ],
)
def test_an_end_that_is_the_probability_itself_is_no_end(
    interval: tuple[float, float] | None, said: str
) -> None:
    assert range_of(replace(DECIDED, interval=interval)) == said


@pytest.mark.parametrize(
    ("prevalence", "trained_on", "said"),
    [
        (
            0.498,
            ["BUSI and simulated exams", "simulated exams"],
            "assumes half of the exams malignant, as of the simulated exams learnt from",
        ),
        (0.31, ["120 cases"], "assumes 31 % of the exams malignant, as of those learnt from"),
        (None, ["simulated exams"], "with models that learnt from simulated exams"),
        (None, ["120 cases"], ""),
    ],
)
def test_what_a_probability_assumes_is_said(
    prevalence: float | None, trained_on: list[str], said: str
) -> None:
    assert premises(prevalence, trained_on) == said


def test_every_feature_is_found_by_its_name() -> None:
    assert list(BY_NAME.values()) == list(FEATURES)
