"""How long work that failed waits."""

from hypothesis import given
from hypothesis import strategies as st

from dicomnode.jobs.pace import backoff_s

FIRST_S, LONGEST_S = 10.0, 3600.0
ATTEMPTS = st.integers(min_value=1, max_value=1000)


def wait_s(attempt: int, key: str) -> float:
    return backoff_s(attempt, key=key, first_s=FIRST_S, longest_s=LONGEST_S)


@given(ATTEMPTS, st.text())
def test_the_wait_is_within_half_and_whole_of_the_doubled_time(attempt, key):
    ceiling_s = min(LONGEST_S, FIRST_S * 2.0 ** min(attempt - 1, 32))
    assert ceiling_s / 2 <= wait_s(attempt, key) <= ceiling_s


@given(ATTEMPTS, st.text())
def test_the_wait_is_always_the_same(attempt, key):
    assert wait_s(attempt, key) == wait_s(attempt, key)


def test_deliveries_that_failed_together_come_back_apart():
    waits_s = {wait_s(5, str(number)) for number in range(100)}
    assert len(waits_s) == 100
    assert max(waits_s) - min(waits_s) > 60.0
