"""Logs: one line per event, as JSON or for a terminal, without patient data.

UIDs of exams and instances are bound with :func:`structlog.contextvars.bound_contextvars`
where the work begins. Whatever could hold a patient's data is withheld here, at the one place
every line passes: elements by name, datasets, the texts of foreign exceptions and of warnings.
"""

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from pydantic import BaseModel
from structlog.typing import EventDict, Processor, WrappedLogger

from dicomnode.errors import DicomnodeError, printable

__all__ = ["LogOptions", "configure"]


class LogOptions(BaseModel, frozen=True, extra="forbid"):
    """How much is logged, and for whom."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


_PATIENT_DATA = frozenset(
    {
        "accessionnumber",
        "additionalpatienthistory",
        "birthdate",
        "contentdate",
        "dataset",
        "ds",
        "ethnicgroup",
        "imagecomments",
        "institutionaddress",
        "institutionname",
        "issuerofpatientid",
        "nameofphysiciansreadingstudy",
        "occupation",
        "operatorsname",
        "otherpatientids",
        "patient",
        "patientaddress",
        "patientage",
        "patientbirthdate",
        "patientbirthname",
        "patientbirthtime",
        "patientcomments",
        "patientid",
        "patientmotherbirthname",
        "patientname",
        "patientsex",
        "patientsid",
        "patientsize",
        "patientsname",
        "patienttelephonenumbers",
        "patientweight",
        "performingphysicianname",
        "referringphysicianname",
        "requestingphysician",
        "seriesdate",
        "seriesdescription",
        "seriestime",
        "studydate",
        "studydescription",
        "studyid",
        "studytime",
    }
)
"""Keywords after PS3.15 Table E.1-1 that name or describe a person, in lower case, without _."""

_LIBRARIES = {
    "dbos": logging.WARNING,
    "matplotlib": logging.WARNING,
    "numba": logging.WARNING,
    "pydicom": logging.ERROR,  # its warnings quote values
    "pynetdicom": logging.ERROR,  # its debug lines dump data sets
    "sqlalchemy": logging.WARNING,
    "uvicorn": logging.WARNING,
}


def configure(options: LogOptions, stream: TextIO | None = None) -> None:
    """Send every log line of this process, libraries' included, to ``stream`` (or stderr)."""
    shared = _processors()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(options),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(options.level.upper())
    _route_libraries()
    threading.excepthook = _log_end_of_thread


def _processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _place_of_exception,
        _withhold_patient_data,
        _one_line,
    ]


def _renderer(options: LogOptions) -> Processor:
    if options.format == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer(sort_keys=True, default=str)


def _route_libraries() -> None:
    """Let libraries log through the root handler, and only what is safe and wanted."""
    for name, level in _LIBRARIES.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]  # dbos adds its own when it finds none
        logger.propagate = True
        logger.setLevel(level)
    warnings.showwarning = _log_warning


def _log_warning(
    message: Warning | str,  # noqa: ARG001 - the text may quote a patient's data
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    structlog.get_logger("warnings").debug(
        "warning.raised", category=category.__name__, place=f"{filename}:{lineno}"
    )


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    """Log what ended a thread, of a library perhaps: Python would write it whole to stderr."""
    if ended.exc_type is not SystemExit:
        name = "" if ended.thread is None else ended.thread.name
        structlog.get_logger(__name__).error("thread.ended", thread=name, exc_info=ended.exc_value)


def _withhold_patient_data(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop what could name a patient, and say that it was dropped."""
    withheld = [key for key, value in event.items() if _is_patient_data(key, value)]
    kept = {key: value for key, value in event.items() if key not in withheld}
    return kept | {"withheld": withheld} if withheld else kept


def _one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Show what would move a terminal's cursor, or begin another line, by its escapes."""
    return {key: _shown(value) for key, value in event.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return value


def _is_patient_data(key: str, value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_is_patient_data(str(name), inner) for name, inner in value.items())
    return key.replace("_", "").lower() in _PATIENT_DATA or _is_of_pydicom(value)


def _is_of_pydicom(value: object) -> bool:
    """Say whether it is a data set, an element or a name; UIDs are text there, and logged."""
    return type(value).__module__.startswith("pydicom.") and not isinstance(value, str)


def _place_of_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write an exception as its kind and place; its text only where the text is ours."""
    raised = event.pop("exc_info", None)
    if not raised:
        return event
    error = raised if isinstance(raised, BaseException) else _current(raised)
    if error is not None:
        event["error"] = type(error).__name__
        event["at"] = _places(error)
        if isinstance(error, DicomnodeError):
            event["reason"] = str(error)
        elif isinstance(error, OSError) and error.strerror:
            event["reason"] = error.strerror  # the system's words, without the name of a file
    return event


def _current(raised: Any) -> BaseException | None:
    return raised[1] if isinstance(raised, tuple) else sys.exc_info()[1]


def _places(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
