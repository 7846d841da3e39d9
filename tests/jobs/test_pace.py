"""How long work that failed waits."""

from hypothesis import given
from hypothesis import strategies as st

from dicomnode.jobs.pace import backoff_s

ATTEMPTS = st.integers(min_value=1, max_value=1000)


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
