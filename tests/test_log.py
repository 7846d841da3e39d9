"""Logs: one line per event, and nothing that names a patient."""

import io
import json
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydicom import Dataset

from dicomnode.errors import InputError, printable
from dicomnode.log import LogOptions, configure
from parts.hostile import WORDS


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level, show = root.handlers[:], root.level, warnings.showwarning
    hook = threading.excepthook
    stream = io.StringIO()
    configure(LogOptions(level="debug"), stream)
    yield stream
    root.handlers[:], warnings.showwarning, threading.excepthook = before, show, hook
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_with_what_is_bound(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(exam=7):
        structlog.get_logger("dicomnode.x").info("instance.kept", instance_uid="1.2.3")
    (line,) = lines(stream)
    assert {"event": "instance.kept", "exam": 7, "instance_uid": "1.2.3"}.items() <= line.items()
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "said",
    [
        {"PatientName": "DOE^JANE"},
        {"patient_id": "DOE"},
        {"StudyDescription": "DOE"},
        {"header": {"PatientBirthDate": "DOE"}},
        {"anything": Dataset()},
    ],
)
def test_patient_data_is_withheld_and_that_is_said(stream: io.StringIO, said: Any) -> None:
    structlog.get_logger().warning("oops", **said)
    (line,) = lines(stream)
    assert "DOE" not in str(line)
    assert line["withheld"] == list(said)


def test_foreign_exceptions_give_kind_and_place_but_not_their_text(stream: io.StringIO) -> None:
    try:
        int("DOE^JANE")
    except ValueError:
        structlog.get_logger().exception("broken")
        logging.getLogger("library").exception("broken too")
    for line in lines(stream):
        assert line["error"] == "ValueError"
        assert "test_log.py" in line["at"][-1]
    assert "DOE" not in stream.getvalue()


def test_own_exceptions_give_their_text(stream: io.StringIO) -> None:
    error = InputError("no-timing", "expected FrameTime (0018,1063), found none")
    structlog.get_logger().error("refused", exc_info=error)
    assert lines(stream)[0]["reason"] == "expected FrameTime (0018,1063), found none"


@pytest.mark.parametrize(
    ("error", "reason"),
    [(KeyError("DOE^JANE"), None), (OSError(28, "No room", "DOE^JANE"), "No room")],
)
def test_what_ends_a_thread_is_one_line_too(
    stream: io.StringIO, capfd: Any, error: Exception, reason: str | None
) -> None:
    def end() -> None:
        raise error

    thread = threading.Thread(target=end, name="reactor")
    thread.start()
    thread.join()
    (line,) = lines(stream)
    assert line["event"] == "thread.ended"
    assert line["thread"] == "reactor"
    assert line["error"] == type(error).__name__
    assert line.get("reason") == reason
    assert "DOE" not in stream.getvalue()
    assert capfd.readouterr().err == ""


def test_warnings_give_kind_and_place_but_not_their_text(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure(LogOptions(level="debug"), stream)
        warnings.warn("value 'DOE^JANE' is odd", stacklevel=1)
    (line,) = lines(stream)
    assert (line["event"], line["category"]) == ("warning.raised", "UserWarning")
    assert "DOE" not in stream.getvalue()


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_value_of_a_sender_begins_a_line_or_moves_the_cursor(
    stream: io.StringIO, form: Any, word: str
) -> None:
    configure(LogOptions(level="debug", format=form), stream)
    with structlog.contextvars.bound_contextvars(calling_ae=word):
        structlog.get_logger().info("association.opened", reasons=[word], told={"by": word})
        logging.getLogger("library").warning(f"said {word}")
        structlog.get_logger().error("refused", exc_info=InputError("x", f"found {word}"))
    written = stream.getvalue()
    assert written.count("\n") == len(written.splitlines()) == 3
    assert all(line.isprintable() for line in written.splitlines())
    if form == "json":
        assert [line["calling_ae"] for line in lines(stream)] == [printable(word)] * 3


@pytest.mark.parametrize("name", ["pydicom", "pynetdicom", "pynetdicom.acse", "dbos"])
def test_libraries_that_dump_data_sets_are_quiet(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).info("PatientName DOE^JANE")
    assert stream.getvalue() == ""
