"""The states of an exam and of a delivery, as tables. No database, no clock.

Every state and everything that may happen is a row below; anything else is a
:class:`TransitionError`. Lists, colours and counts follow from the rows. The ledger repeats the
old state in its SQL, so that two processes cannot both take one row.
"""

from enum import Enum, StrEnum, auto
from typing import Self

from dicomnode.errors import TransitionError

__all__ = [
    "DELIVERY_TRANSITIONS",
    "EXAM_TRANSITIONS",
    "UNDELIVERED",
    "UNFINISHED",
    "DeliveryEvent",
    "DeliveryState",
    "ExamEvent",
    "ExamState",
    "Phase",
    "Tone",
    "after_delivery",
    "after_exam",
    "before_delivery",
    "before_exam",
    "settled",
]


class Phase(Enum):
    """Whether a row in a state must move on, and by whom."""

    GOES_ON = auto()  # by itself: something runs for it, or will soon
    WAITS = auto()  # until a person decides
    OVER = auto()  # as it should be; its files may go in time


class Tone(StrEnum):
    """How a state is coloured for people, on the page and in a terminal."""

    GOING = "going"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    DULL = "dull"


class _State(StrEnum):
    """A state's name with what there is to know of it."""

    phase: Phase
    tone: Tone

    def __new__(cls, name: str, phase: Phase = Phase.GOES_ON, tone: Tone = Tone.GOING) -> Self:
        state = str.__new__(cls, name)
        state._value_ = name
        state.phase = phase
        state.tone = tone
        return state

    @classmethod
    def in_phase(cls, phase: Phase) -> tuple[Self, ...]:
        """List the states of a phase."""
        return tuple(state for state in cls if state.phase is phase)


class ExamState(_State):
    """Where one revision of one injection of a study stands."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    ANALYSING = "analysing"
    ANALYSED = "analysed", Phase.OVER, Tone.GOOD
    REFUSED = "refused", Phase.OVER, Tone.WARN
    FAILED = "failed", Phase.WAITS, Tone.BAD
    GIVEN_UP = "given up", Phase.OVER, Tone.DULL


class ExamEvent(StrEnum):
    """What can happen to an exam."""

    QUEUE = "queue"
    BEGIN = "begin"
    FINISH = "finish"
    REFUSE = "refuse"
    FAIL = "fail"
    RETURN = "return"  # the job that had taken it is gone
    RETRY = "retry"  # a person asks for another attempt
    GIVE_UP = "give up"  # a person wants no result


EXAM_TRANSITIONS: dict[tuple[ExamState, ExamEvent], ExamState] = {
    (ExamState.RECEIVING, ExamEvent.QUEUE): ExamState.QUEUED,
    (ExamState.QUEUED, ExamEvent.BEGIN): ExamState.ANALYSING,
    (ExamState.ANALYSING, ExamEvent.FINISH): ExamState.ANALYSED,
    (ExamState.ANALYSING, ExamEvent.REFUSE): ExamState.REFUSED,
    (ExamState.ANALYSING, ExamEvent.FAIL): ExamState.FAILED,
    (ExamState.ANALYSING, ExamEvent.RETURN): ExamState.QUEUED,
    **{
        (state, ExamEvent.RETRY): ExamState.QUEUED
        for state in ExamState
        if state is not ExamState.ANALYSED
    },
    **{
        (state, ExamEvent.GIVE_UP): ExamState.GIVEN_UP
        for state in ExamState
        if state.phase is not Phase.OVER
    },
}

UNFINISHED = ExamState.in_phase(Phase.GOES_ON)
"""States that an exam must not stay in."""


class DeliveryState(_State):
    """Where one output stands on its way to one destination."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent", Phase.OVER, Tone.GOOD
    COMMITTED = "committed", Phase.OVER, Tone.GOOD
    RETRY = "retry", Phase.GOES_ON, Tone.WARN
    PARKED = "parked", Phase.WAITS, Tone.BAD
    GIVEN_UP = "given up", Phase.OVER, Tone.DULL


class DeliveryEvent(StrEnum):
    """What can happen to a delivery."""

    CLAIM = "claim"
    SENT = "sent"
    RETRY_LATER = "retry later"
    PARK = "park"
    COMMIT = "commit"
    LOST = "lost"  # the peer reported that it does not hold what it had accepted
    RECOVER = "recover"  # the process that was sending is gone
    RELEASE = "release"  # a person asks for another attempt
    RESEND = "resend"  # a person asks for the object again
    GIVE_UP = "give up"  # a person wants it sent no more


DELIVERY_TRANSITIONS: dict[tuple[DeliveryState, DeliveryEvent], DeliveryState] = {
    (DeliveryState.PENDING, DeliveryEvent.CLAIM): DeliveryState.SENDING,
    (DeliveryState.RETRY, DeliveryEvent.CLAIM): DeliveryState.SENDING,
    (DeliveryState.SENDING, DeliveryEvent.SENT): DeliveryState.SENT,
    (DeliveryState.SENDING, DeliveryEvent.RETRY_LATER): DeliveryState.RETRY,
    (DeliveryState.SENDING, DeliveryEvent.PARK): DeliveryState.PARKED,
    (DeliveryState.SENDING, DeliveryEvent.RECOVER): DeliveryState.PENDING,
    (DeliveryState.SENT, DeliveryEvent.COMMIT): DeliveryState.COMMITTED,
    (DeliveryState.SENT, DeliveryEvent.LOST): DeliveryState.PARKED,
    **{
        (state, DeliveryEvent.RELEASE): DeliveryState.PENDING
        for state in DeliveryState
        if state not in (DeliveryState.SENT, DeliveryState.COMMITTED)
    },
    **{(state, DeliveryEvent.RESEND): DeliveryState.PENDING for state in DeliveryState},
    **{
        (state, DeliveryEvent.GIVE_UP): DeliveryState.GIVEN_UP
        for state in DeliveryState
        if state not in (DeliveryState.SENT, DeliveryState.COMMITTED, DeliveryState.GIVEN_UP)
    },
}

UNDELIVERED = DeliveryState.in_phase(Phase.GOES_ON)
"""States that a delivery must not stay in: it is being sent, or has a moment to be tried at."""


def after_exam(state: ExamState, event: ExamEvent) -> ExamState:
    """Look up the state of an exam after an event."""
    try:
        return EXAM_TRANSITIONS[state, event]
    except KeyError:
        raise TransitionError(
            f"an exam that is {state} cannot {event}; expected {_words(before_exam(event))}"
        ) from None


def before_exam(event: ExamEvent) -> tuple[ExamState, ...]:
    """List the states in which an event may happen to an exam."""
    return tuple(state for state, known in EXAM_TRANSITIONS if known is event)


def after_delivery(state: DeliveryState, event: DeliveryEvent) -> DeliveryState:
    """Look up the state of a delivery after an event."""
    try:
        return DELIVERY_TRANSITIONS[state, event]
    except KeyError:
        raise TransitionError(
            f"a delivery that is {state} does not know {event!s}; "
            f"expected {_words(before_delivery(event))}"
        ) from None


def before_delivery(event: DeliveryEvent) -> tuple[DeliveryState, ...]:
    """List the states in which an event may happen to a delivery."""
    return tuple(state for state, known in DELIVERY_TRANSITIONS if known is event)


def settled(last_instance_at: float, open_associations: int, now: float, quiet_s: float) -> bool:
    """Say whether a study is complete: nothing came for a while and nobody is still connected.

    Counting instances or waiting for a stable series calls a study complete while a slow
    sender pauses between clips; an association that sent to the study holds it open.

    Parameters
    ----------
    last_instance_at : float
        When the last instance was stored, or the last association that sent to this study
        ended, whichever is later; epoch seconds.
    open_associations : int
        Associations still open that have sent at least one instance of this study.
    now : float
        Epoch seconds.
    quiet_s : float
        How long nothing must have happened.
    """
    return open_associations == 0 and now - last_instance_at >= quiet_s


def _words(states: tuple[StrEnum, ...]) -> str:
    return " or ".join(str(state) for state in states)
