import pytest

from dicomnode.errors import TransitionError
from dicomnode.store.states import DeliveryState
from parts.records import ANALYSED


@pytest.fixture
def delivery(ledger, instance, output):
    """One SEG on its way to one PACS."""
    recorded = ledger.record_instance(instance(), now=0.0)
    (due,) = ledger.due_studies(now=100.0, quiet_s=30.0)
    ledger.queue(due, now=100.0)
    ledger.begin(recorded.exam_id, job="j", now=100.0)
    ledger.finish(
        recorded.exam_id,
        job="j",
        outputs=[output()],
        destinations={"pacs": ["seg"], "viewer": ["sr"]},
        record=ANALYSED,
        now=100.0,
    )
    (row,) = ledger.deliveries(recorded.exam_id)
    return row


def test_a_delivery_is_claimed_by_one(ledger, delivery):
    assert ledger.due_deliveries(now=100.0) == (delivery,)
    (claimed,) = ledger.claim([delivery.id], now=101.0)
    assert (claimed.state, claimed.attempts) == (DeliveryState.SENDING, 1)
    assert ledger.claim([delivery.id], now=101.0) == ()
    assert not ledger.due_deliveries(now=999.0)


def test_what_waits_for_one_destination_hides_nothing_of_another(ledger, instance, output):
    recorded = ledger.record_instance(instance(), now=0.0)
    ledger.queue(ledger.exam(recorded.exam_id), now=100.0)
    ledger.begin(recorded.exam_id, job="j", now=100.0)
    ledger.finish(
        recorded.exam_id,
        job="j",
        outputs=[*(output("seg", number) for number in range(5)), output("sr", 9)],
        destinations={"away": ["seg"], "pacs": ["sr"]},
        record=ANALYSED,
        now=100.0,
    )
    due = ledger.due_deliveries(now=100.0, of_each=2)
    assert [row.destination for row in due] == ["away", "away", "pacs"]


def test_a_failed_attempt_comes_back_when_its_time_has_come(ledger, delivery):
    ledger.claim([delivery.id], now=101.0)
    ledger.retry_later(delivery.id, at=200.0, code="0xA700", error="out of resources", now=102.0)
    assert not ledger.due_deliveries(now=199.0)
    (due,) = ledger.due_deliveries(now=200.0)
    assert (due.code, due.error, due.attempts) == ("0xA700", "out of resources", 1)
    assert ledger.claim([delivery.id], now=200.0)[0].attempts == 2


def test_a_parked_delivery_waits_for_a_person(ledger, delivery):
    ledger.claim([delivery.id], now=101.0)
    ledger.park(delivery.id, code="0xA900", error="does not match", now=102.0)
    assert not ledger.due_deliveries(now=1e9)
    (parked,) = ledger.deliveries(delivery.exam_id)
    assert parked.state is DeliveryState.PARKED
    assert ledger.release(delivery.exam_id, now=103.0) == 1
    (released,) = ledger.due_deliveries(now=103.0)
    assert (released.state, released.attempts) == (DeliveryState.PENDING, 0)


def test_a_sent_delivery_cannot_be_revived_by_a_late_answer(ledger, delivery):
    ledger.claim([delivery.id], now=101.0)
    ledger.sent(delivery.id, code="0x0000", now=102.0)
    with pytest.raises(TransitionError):
        ledger.retry_later(delivery.id, at=1.0, error="", now=103.0)
    assert ledger.release(delivery.exam_id, now=103.0) == 0


def test_after_a_crash_what_was_being_sent_is_sent_again(ledger, delivery):
    ledger.claim([delivery.id], now=101.0)
    ledger.recover(now=200.0)
    (due,) = ledger.due_deliveries(now=200.0)
    assert due.id == delivery.id


def test_resending_sends_the_same_output_again(ledger, delivery):
    ledger.claim([delivery.id], now=101.0)
    ledger.sent(delivery.id, code="0x0000", now=102.0)
    assert ledger.resend(delivery.exam_id, now=200.0) == 1
    (due,) = ledger.due_deliveries(now=200.0)
    assert due.output == delivery.output


def test_resending_takes_what_is_on_its_way_too(ledger, delivery):
    """The same bytes may arrive twice; its sender may be gone."""
    ledger.claim([delivery.id], now=101.0)
    assert ledger.resend(delivery.exam_id, now=102.0) == 1
    with pytest.raises(TransitionError):
        ledger.sent(delivery.id, code="0x0000", now=103.0)
    (due,) = ledger.due_deliveries(now=103.0)
    assert due.id == delivery.id


def test_what_is_given_up_is_sent_no_more_until_a_person_asks(ledger, delivery):
    ledger.claim([delivery.id], now=101.0)
    assert ledger.give_up_deliveries(delivery.exam_id, now=102.0) == 1
    assert ledger.due_deliveries(now=1e9) == ()
    (row,) = ledger.deliveries(delivery.exam_id)
    assert (row.state, row.error) == (DeliveryState.GIVEN_UP, "given up by a person")
    assert ledger.give_up_deliveries(delivery.exam_id, now=103.0) == 0
    ledger.release(delivery.exam_id, now=104.0)
    assert len(ledger.due_deliveries(now=104.0)) == 1


@pytest.mark.parametrize(
    ("committed", "failed", "state"),
    [
        (["2.25.1"], {}, DeliveryState.COMMITTED),
        ([], {"2.25.1": "no such object instance"}, DeliveryState.PARKED),
        ([], {}, DeliveryState.SENT),
    ],
)
def test_a_commitment_answer_is_entered(ledger, delivery, committed, failed, state):
    ledger.claim([delivery.id], now=101.0)
    ledger.sent(delivery.id, code="0x0000", receipt="2.25.9", now=102.0)
    (row,) = ledger.receipt_given("2.25.9", committed=committed, failed=failed, now=104.0)
    assert row.state is state


def test_an_answer_to_another_transaction_changes_nothing(ledger, delivery):
    ledger.claim([delivery.id], now=101.0)
    ledger.sent(delivery.id, code="0x0000", now=102.0)
    assert ledger.receipt_given("9.9", committed=["2.25.1"], failed={}, now=1.0) == ()
