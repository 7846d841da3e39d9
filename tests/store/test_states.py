import pytest

from dicomnode.errors import TransitionError
from dicomnode.store.states import (
    DELIVERY_TRANSITIONS,
    EXAM_TRANSITIONS,
    DeliveryEvent,
    DeliveryState,
    ExamEvent,
    ExamState,
    after_delivery,
    after_exam,
    settled,
)


def test_every_exam_state_is_reached_from_receiving():
    reached = {ExamState.RECEIVING}
    for _ in ExamState:
        reached |= {after for (state, _), after in EXAM_TRANSITIONS.items() if state in reached}
    assert reached == set(ExamState)


def test_every_delivery_state_is_reached_from_pending():
    reached = {DeliveryState.PENDING}
    for _ in DeliveryState:
        reached |= {a for (state, _), a in DELIVERY_TRANSITIONS.items() if state in reached}
    assert reached == set(DeliveryState)


def test_an_analysed_exam_never_changes():
    """Its successor is a new revision, so that what was delivered stays what it was."""
    assert not [event for state, event in EXAM_TRANSITIONS if state is ExamState.ANALYSED]


@pytest.mark.parametrize("state", ExamState)
@pytest.mark.parametrize("event", ExamEvent)
def test_what_is_not_in_the_exam_table_raises(state, event):
    if (state, event) in EXAM_TRANSITIONS:
        assert after_exam(state, event) is EXAM_TRANSITIONS[state, event]
    else:
        with pytest.raises(TransitionError, match=rf"exam that is {state} cannot {event}"):
            after_exam(state, event)


@pytest.mark.parametrize("state", DeliveryState)
@pytest.mark.parametrize("event", DeliveryEvent)
def test_what_is_not_in_the_delivery_table_raises(state, event):
    if (state, event) in DELIVERY_TRANSITIONS:
        assert after_delivery(state, event) is DELIVERY_TRANSITIONS[state, event]
    else:
        with pytest.raises(TransitionError, match=f"delivery that is {state}"):
            after_delivery(state, event)


@pytest.mark.parametrize(
    ("last_at", "open_associations", "now", "expected"),
    [
        (100.0, 0, 130.0, True),
        (100.0, 0, 129.9, False),
        (100.0, 1, 9999.0, False),
        (100.0, 0, 99.0, False),  # a clock that went back
    ],
)
def test_settled_waits_for_quiet_and_for_everyone_to_leave(
    last_at, open_associations, now, expected
):
    assert settled(last_at, open_associations, now, 30.0) is expected
