import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.network.statuses import STATUSES, classify


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, "delivered"),
        (0xB000, "delivered"),
        (0xB006, "delivered"),
        (0xB007, "delivered"),
        (0x0111, "delivered"),
        (0xA700, "later"),
        (0xA7FF, "later"),
        (0x0110, "later"),
        (0x0213, "later"),
        (0xA900, "never"),
        (0xA9FF, "never"),
        (0xC000, "never"),
        (0xCFFF, "never"),
        (0x0122, "never"),
        (0x0124, "never"),
        (0x0117, "never"),
        (0xD000, "never"),
    ],
)
def test_a_status_is_classified(status, verdict):
    assert classify(status).verdict == verdict


@given(st.integers(min_value=0, max_value=0xFFFF))
def test_every_status_is_classified_and_only_success_and_warnings_count_as_delivered(status):
    sent = classify(status).verdict == "delivered"
    known_sent = status in (0x0000, 0x0001, 0x0107, 0x0111, 0x0116) or 0xB000 <= status <= 0xBFFF
    assert sent is known_sent


def test_every_rule_says_where_the_standard_does():
    assert all(rule.source.startswith("PS3.") for rule in STATUSES)
