import pytest

from dicomnode.errors import Reason, RefusedError, StoreError, TransitionError
from dicomnode.store import arrivals
from dicomnode.store.ledger import Ledger
from dicomnode.store.states import UNFINISHED, DeliveryState, ExamState
from parts.records import ANALYSED, answered, refused

QUIET_S = 30.0


def queue_all(ledger, now):
    return [ledger.queue(exam, now=now) for exam in ledger.due_studies(now=now, quiet_s=QUIET_S)]


def queued(ledger, instance, **where):
    ledger.record_instance(instance(**where), now=0.0)
    (exam,) = queue_all(ledger, 100.0)
    return exam


def analysed(ledger, instance, outputs=(), destinations=None):
    exam = queued(ledger, instance)
    ledger.begin(exam.id, job="j", now=101.0)
    return ledger.finish(
        exam.id,
        job="j",
        outputs=outputs,
        destinations=destinations or {},
        record=answered("benign", 0.1),
        now=102.0,
    )


def test_the_first_instance_of_a_study_opens_its_exam(ledger, instance):
    recorded = ledger.record_instance(instance(), now=5.0)
    exam = ledger.exam(recorded.exam_id)
    assert recorded.outcome == "first"
    assert not recorded.new_revision
    assert (exam.injection, exam.revision, exam.state) == (1, 1, ExamState.RECEIVING)
    assert exam.replaces is None


def test_the_same_bytes_are_recorded_once(ledger, instance):
    first = ledger.record_instance(instance(), now=1.0)
    again = ledger.record_instance(instance(association="B"), now=2.0)
    assert again.outcome == "same"
    assert again.instance == first.instance
    assert len(ledger.variants_of(ledger.exam(first.exam_id))) == 1


def test_other_bytes_are_kept_beside_the_first_and_the_policy_chooses(ledger, instance):
    for content in "aba":
        recorded = ledger.record_instance(instance(content=content), now=1.0)
    exam = ledger.exam(recorded.exam_id)
    assert [row.variant for row in ledger.variants_of(exam)] == [0, 1]
    assert [row.sha256[0] for row in ledger.instances_for(exam, "first")] == ["a"]
    assert [row.sha256[0] for row in ledger.instances_for(exam, "last")] == ["b"]
    with pytest.raises(RefusedError, match="received 2 with different bytes") as refused:
        ledger.instances_for(exam, "refuse")
    assert [reason.code for reason in refused.value.reasons] == ["conflicting-instances"]


def test_one_uid_in_two_studies_is_analysed_in_both(ledger, instance):
    """A scanner that reuses UIDs must not make an instance vanish from the second study."""
    one = instance(1, study="1.1", content="a")
    other = type(one)(**vars(one) | {"study_uid": "2.2", "sha256": "b" * 64})
    ledger.record_instance(one, now=1.0)
    recorded = ledger.record_instance(other, now=2.0)
    assert recorded.outcome == "different"
    (row,) = ledger.instances_for(ledger.exam(recorded.exam_id), "first")
    assert row.sha256 == "b" * 64


def test_a_study_is_due_when_it_is_quiet_and_its_association_has_ended(ledger, instance):
    ledger.association_opened("A", calling_ae="S", host="h", now=0.0)
    ledger.record_instance(instance(), now=10.0)
    assert not ledger.due_studies(now=1000.0, quiet_s=QUIET_S)
    ledger.association_closed("A", now=1000.0)
    assert not ledger.due_studies(now=1029.0, quiet_s=QUIET_S)
    assert ledger.due_studies(now=1030.0, quiet_s=QUIET_S)


def test_an_exam_that_is_received_says_what_it_waits_for(ledger, instance):
    ledger.association_opened("A", calling_ae="SCANNER1", host="10.0.0.5", now=0.0)
    exam = ledger.exam(ledger.record_instance(instance(association="A"), now=1.0).exam_id)
    (told,) = ledger.waits(exam)
    assert told.text == "waits for SCANNER1 at 10.0.0.5 to end its association"
    ledger.association_closed("A", now=2.0)
    assert [one.code for one in ledger.waits(exam)] == ["quiet"]
    assert ledger.waits(ledger.queue(exam, now=99.0)) == ()


def test_an_association_that_sent_elsewhere_does_not_hold_a_study_open(ledger, instance):
    ledger.association_opened("B", calling_ae="S", host="h", now=0.0)
    ledger.record_instance(instance(study="1.1", association="A"), now=1.0)
    ledger.record_instance(instance(study="2.2", association="B"), now=1.0)
    assert [exam.study_uid for exam in ledger.due_studies(now=99.0, quiet_s=QUIET_S)] == ["1.1"]


def test_resending_the_same_bytes_holds_a_receiving_study_open(ledger, instance):
    ledger.record_instance(instance(), now=1.0)
    ledger.association_opened("B", calling_ae="S", host="h", now=50.0)
    ledger.record_instance(instance(association="B"), now=50.0)
    assert not ledger.due_studies(now=200.0, quiet_s=QUIET_S)


def test_an_instance_between_looking_and_queueing_keeps_the_study_receiving(ledger, instance):
    ledger.record_instance(instance(1), now=0.0)
    (due,) = ledger.due_studies(now=100.0, quiet_s=QUIET_S)
    late = ledger.record_instance(instance(2), now=100.0)
    with pytest.raises(TransitionError, match="newer instance"):
        ledger.queue(due, now=100.0)
    assert late.exam_id == due.id
    assert ledger.exam(due.id).state is ExamState.RECEIVING


def test_a_late_instance_opens_a_revision_that_says_what_it_replaces(ledger, instance):
    first = analysed(ledger, instance)
    late = ledger.record_instance(instance(2), now=200.0)
    second = ledger.exam(late.exam_id)
    assert late.new_revision
    assert (second.revision, second.replaces) == (2, first.id)
    assert second.state is ExamState.RECEIVING
    assert ledger.exam(first.id) == first
    assert len(ledger.instances_for(first, "first")) == 1
    assert len(ledger.instances_for(second, "first")) == 2


def test_the_same_bytes_after_the_analysis_open_nothing(ledger, instance):
    first = analysed(ledger, instance)
    again = ledger.record_instance(instance(), now=200.0)
    assert (again.outcome, again.exam_id, again.new_revision) == ("same", first.id, False)
    assert len(ledger.exams()) == 1


def test_splitting_gives_every_injection_a_row_once(ledger, instance):
    exam = queued(ledger, instance)
    ledger.begin(exam.id, job="j", now=1.0)
    rows = ledger.split(exam, 3, now=2.0)
    assert [(row.injection, row.state) for row in rows] == [
        (1, ExamState.ANALYSING),
        (2, ExamState.QUEUED),
        (3, ExamState.QUEUED),
    ]
    assert ledger.split(exam, 3, now=3.0) == rows


def test_a_later_revisions_injection_replaces_the_same_injection(ledger, instance):
    first = queued(ledger, instance)
    _, second_injection = ledger.split(first, 2, now=1.0)
    ledger.record_instance(instance(2), now=200.0)
    (revision,) = queue_all(ledger, 300.0)
    assert ledger.split(revision, 2, now=301.0)[1].replaces == second_injection.id


def test_finishing_writes_state_outputs_and_deliveries_together(ledger, instance, output):
    outputs = [output("seg", 1), output("sr", 2)]
    exam = analysed(ledger, instance, outputs, {"pacs": ["seg", "sr"], "viewer": ["sr"]})
    assert exam.state is ExamState.ANALYSED
    assert exam.summary.decision == "benign"
    assert ledger.record(exam.id) == answered("benign", 0.1)
    wanted = {(row.destination, row.output.kind) for row in ledger.deliveries(exam.id)}
    assert wanted == {("pacs", "seg"), ("pacs", "sr"), ("viewer", "sr")}


def test_a_failing_finish_writes_nothing(ledger, instance, output):
    exam = queued(ledger, instance)
    ledger.begin(exam.id, job="j", now=1.0)
    twice = [output("seg", 1), output("sr", 1)]
    with pytest.raises(StoreError, match="already holds such a row"):
        ledger.finish(
            exam.id,
            job="j",
            outputs=twice,
            destinations={"p": ["seg"]},
            record=ANALYSED,
            now=2.0,
        )
    assert ledger.exam(exam.id).state is ExamState.ANALYSING
    assert not ledger.outputs(exam.id)
    assert not ledger.deliveries(exam.id)


def test_a_job_may_repeat_its_steps_and_no_other_job_may(ledger, instance, output):
    exam = queued(ledger, instance)
    assert ledger.begin(exam.id, job="j", now=1.0) == ledger.begin(exam.id, job="j", now=2.0)
    with pytest.raises(TransitionError):
        ledger.begin(exam.id, job="other", now=3.0)
    with pytest.raises(TransitionError):
        ledger.fail(exam.id, job="other", reasons=[], now=3.0)
    finish = {
        "outputs": [output()],
        "destinations": {"p": ["seg"]},
        "record": ANALYSED,
        "now": 4.0,
    }
    assert ledger.finish(exam.id, job="j", **finish) == ledger.finish(exam.id, job="j", **finish)
    assert len(ledger.deliveries(exam.id)) == 1


@pytest.mark.parametrize("how", ["refuse", "fail"])
def test_refused_and_failed_exams_say_why_and_can_be_retried(ledger, instance, how):
    exam = queued(ledger, instance)
    ledger.begin(exam.id, job="j", now=1.0)
    reasons = (Reason("no-timing", "expected FrameTime (0018,1063), found none"),)
    why = {"record": refused(*reasons)} if how == "refuse" else {"reasons": reasons}
    ended = getattr(ledger, how)(exam.id, job="j", now=2.0, **why)
    assert ended.reasons == reasons
    again = ledger.retry(exam.id, now=3.0)
    assert (again.state, again.attempt, again.job) == (ExamState.QUEUED, 2, None)


@pytest.mark.parametrize("state", UNFINISHED)
@pytest.mark.parametrize("decision", ["retry", "give_up"])
def test_a_person_decides_about_every_exam_that_has_no_end(ledger, instance, state, decision):
    """What a job that it was taken from writes later is not written."""
    exam = ledger.exam(ledger.record_instance(instance(), now=0.0).exam_id)
    if state is not ExamState.RECEIVING:
        exam = ledger.queue(exam, now=1.0)
    if state is ExamState.ANALYSING:
        exam = ledger.begin(exam.id, job="j", now=2.0)
    assert exam.state is state
    decided = getattr(ledger, decision)(exam.id, now=3.0)
    if decision == "retry":
        assert (decided.state, decided.attempt, decided.job) == (ExamState.QUEUED, 2, None)
    else:
        assert (decided.state, decided.reasons[0].code) == (ExamState.GIVEN_UP, "given-up")
        assert ledger.retry(exam.id, now=4.0).state is ExamState.QUEUED
    with pytest.raises(TransitionError):
        ledger.finish(exam.id, job="j", outputs=[], destinations={}, record=ANALYSED, now=5.0)


def test_an_analysed_exam_is_neither_retried_nor_given_up(ledger, instance):
    exam = analysed(ledger, instance)
    for decision in (ledger.retry, ledger.give_up):
        with pytest.raises(TransitionError, match="analysed cannot"):
            decision(exam.id, now=9.0)


def test_an_exam_that_waits_says_why_and_how_often_the_node_ended(ledger, instance):
    exam = queued(ledger, instance)
    ledger.begin(exam.id, job="j", now=1.0)
    ledger.recover(now=2.0)
    ledger.wait(exam.id, job="j", reason=Reason("waiting", "the disk is full"))
    ledger.wait(exam.id, job="other", reason=Reason("waiting", "not mine"))
    assert [one.code for one in ledger.exam(exam.id).reasons] == ["interrupted", "waiting"]
    done = ledger.finish(exam.id, job="j", outputs=[], destinations={}, record=ANALYSED, now=3.0)
    assert done.reasons == ()


def test_reanalysing_opens_a_queued_revision_from_the_same_instances(ledger, instance):
    first = analysed(ledger, instance)
    again = ledger.reanalyse(first.id, now=200.0)
    assert (again.revision, again.replaces, again.state) == (2, first.id, ExamState.QUEUED)
    assert ledger.instances_for(again, "first") == ledger.instances_for(first, "first")
    with pytest.raises(TransitionError, match="expected the newest revision"):
        ledger.reanalyse(first.id, now=201.0)


def test_an_exam_that_is_not_there_is_an_error_that_says_so(ledger):
    with pytest.raises(StoreError, match="expected an exam with number 7"):
        ledger.exam(7)


def test_a_restart_keeps_everything_and_leaves_analysing_exams_to_their_job(ledger, url, instance):
    exam = queued(ledger, instance)
    ledger.begin(exam.id, job="j", now=1.0)
    ledger.association_opened("B", calling_ae="S", host="h", now=2.0)
    ledger.record_instance(instance(study="2.2", association="B"), now=2.0)
    ledger.close()
    restarted = Ledger(url)
    restarted.recover(now=10.0)
    assert restarted.exam(exam.id).state is ExamState.ANALYSING
    assert [one.study_uid for one in restarted.due_studies(now=50.0, quiet_s=QUIET_S)] == ["2.2"]
    restarted.close()


def test_a_commit_is_synchronous(ledger):
    """The acknowledgement rests on these two."""
    with ledger._reading() as connection:
        if connection.dialect.name == "postgresql":
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            return
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_server_that_answers_before_a_commit_is_durable_is_told_not_to(postgres):
    url = postgres.new_database()
    ledger = Ledger(url)
    with ledger._writing() as connection:
        connection.exec_driver_sql(
            f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit TO off"
        )
    ledger.close()
    ledger = Ledger(url)
    with ledger._reading() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    ledger.close()


def test_counts_name_every_state(ledger, instance):
    analysed(ledger, instance)
    assert ledger.exam_counts() == {state: state is ExamState.ANALYSED for state in ExamState}
    assert ledger.delivery_counts() == dict.fromkeys(DeliveryState, 0)


def test_who_was_turned_away_is_counted_latest_first(ledger: Ledger) -> None:
    stranger = {"calling_ae": "STRANGER", "called_ae": "CEUSNODE", "host": "192.0.2.7"}
    for now in (1.0, 3.0):
        ledger.association_rejected(**stranger, reason="calling AE title", now=now)
    ledger.association_rejected(**stranger | {"calling_ae": "OTHER"}, reason="host", now=2.0)
    found = [(row.calling_ae, row.reason, row.times, row.last_at) for row in ledger.rejections()]
    assert found == [("STRANGER", "calling AE title", 2, 3.0), ("OTHER", "host", 1, 2.0)]


def test_a_stranger_who_makes_up_titles_does_not_fill_the_ledger(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "_REJECTIONS_KEPT", 3)
    for number in range(5):
        ledger.association_rejected(
            calling_ae=f"MADE UP {number}",
            called_ae="CEUSNODE",
            host="192.0.2.7",
            reason="calling AE title",
            now=float(number),
        )
    kept = [row.calling_ae for row in ledger.rejections()]
    assert kept == ["MADE UP 4", "MADE UP 3", "MADE UP 2"]
