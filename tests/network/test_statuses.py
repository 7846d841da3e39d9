import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.network.statuses import STATUSES, backoff_s, judge

ATTEMPTS = st.integers(min_value=1, max_value=1000)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, "sent"),
        (0xB000, "sent"),
        (0xB006, "sent"),
        (0xB007, "sent"),
        (0x0111, "sent"),
        (0xA700, "retry"),
        (0xA7FF, "retry"),
        (0x0110, "retry"),
        (0x0213, "retry"),
        (0xA900, "park"),
        (0xA9FF, "park"),
        (0xC000, "park"),
        (0xCFFF, "park"),
        (0x0122, "park"),
        (0x0124, "park"),
        (0x0117, "park"),
        (0xD000, "park"),
    ],
)
def test_a_status_is_judged(status, outcome):
    assert judge(status).outcome == outcome


@given(st.integers(min_value=0, max_value=0xFFFF))
def test_every_status_is_judged_and_only_success_and_warnings_count_as_sent(status):
    sent = judge(status).outcome == "sent"
    known_sent = status in (0x0000, 0x0001, 0x0107, 0x0111, 0x0116) or 0xB000 <= status <= 0xBFFF
    assert sent is known_sent


def test_every_judgement_says_where_the_standard_does():
    assert all(judgement.source.startswith("PS3.") for judgement in STATUSES)


@given(ATTEMPTS, st.text())
def test_the_wait_is_within_half_and_whole_of_the_doubled_time(attempt, key):
    ceiling_s = min(3600.0, 10.0 * 2.0 ** min(attempt - 1, 32))
    assert ceiling_s / 2 <= backoff_s(attempt, key=key) <= ceiling_s


@given(ATTEMPTS, st.text())
def test_the_wait_is_always_the_same(attempt, key):
    assert backoff_s(attempt, key=key) == backoff_s(attempt, key=key)


def test_deliveries_that_failed_together_come_back_apart():
    waits_s = {backoff_s(5, key=str(number)) for number in range(100)}
    assert len(waits_s) == 100
    assert max(waits_s) - min(waits_s) > 60.0
