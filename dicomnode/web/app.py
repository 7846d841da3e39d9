"""The operator's page, the JSON API, metrics and health. It reads the ledger and writes nothing."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from dicomnode.errors import DamagedError, DicomnodeError, StoreError
from dicomnode.kinds import PICTURES
from dicomnode.store.database import NotFoundError
from dicomnode.store.ledger import Ledger
from dicomnode.store.spool import Spool
from dicomnode.store.states import Phase
from dicomnode.web.headers import SafeHeaders
from dicomnode.web.metrics import LedgerCollector
from dicomnode.web.names import OwnNames
from dicomnode.web.picture import png
from dicomnode.web.views import exam_page, exam_rows, exams_plain

__all__ = ["Check", "make_app"]

Check: TypeAlias = Callable[[], tuple[bool, str]]
"""Whether something works, and what was found."""

_HERE = Path(__file__).parent
_SHOWN = 200
_MOST = 10_000


class _Number(IntegerConvertor):
    """A number of a row; Python reads none of thousands of digits."""

    regex = "[0-9]{1,19}"


register_url_convertor("number", _Number())


def make_app(
    *,
    ledger: Ledger,
    spool: Spool,
    checks: Mapping[str, Check],
    key: bytes,
    scrubbed: Callable[[], Mapping[str, int]] = dict,
    names: Sequence[str] = (),
) -> Starlette:
    """Make the application.

    Parameters
    ----------
    checks : mapping
        What ``/health/ready`` asks, by name.
    key : bytes
        Makes the labels of studies; the node's own.
    scrubbed : callable
        How many files the last scrub found in which state.
    names : sequence of str
        Host names by which it may be asked for, beside this machine's own.
    """
    registry = CollectorRegistry()
    registry.register(LedgerCollector(ledger, spool, scrubbed))
    pages = _Pages(
        ledger=ledger,
        spool=spool,
        checks=checks,
        key=key,
        registry=registry,
        templates=Jinja2Templates(_HERE / "templates"),
    )
    return Starlette(
        routes=[
            Route("/", pages.exams),
            Route("/exams/{id:number}", pages.exam),
            Route("/exams/{id:number}/{kind:str}.png", pages.picture),
            Route("/api/exams", pages.api_exams),
            Route("/api/exams/{id:number}", pages.api_exam),
            Route("/metrics", pages.metrics),
            Route("/health/live", pages.live),
            Route("/health/ready", pages.ready),
            Mount("/static", StaticFiles(directory=_HERE / "static"), name="static"),
        ],
        middleware=[Middleware(SafeHeaders), Middleware(OwnNames, names=names)],
        exception_handlers={StoreError: _not_now},
    )


@dataclass(frozen=True, kw_only=True)
class _Pages:
    """The handlers. Starlette runs plain functions in threads, so they may ask the ledger."""

    ledger: Ledger
    spool: Spool
    checks: Mapping[str, Check]
    key: bytes
    registry: CollectorRegistry
    templates: Jinja2Templates

    def exams(self, request: Request) -> Response:
        """Show the newest exams, and what waits for a person."""
        deliveries: Counter[Phase] = Counter()
        for state, count in self.ledger.delivery_counts().items():
            deliveries[state.phase] += count
        context = {
            "exams": exam_rows(self.ledger, self.key, limit=_SHOWN),
            "exam_counts": self.ledger.exam_counts(),
            "to_send": deliveries[Phase.GOES_ON],
            "parked": deliveries[Phase.WAITS],
            "shown": _SHOWN,
        }
        return self.templates.TemplateResponse(request, "exams.html", context)

    def exam(self, request: Request) -> Response:
        """Show one exam: reasons, instances, outputs, deliveries and pictures."""
        with _NotFoundAs404():
            context = exam_page(self.ledger, request.path_params["id"], self.key)
        return self.templates.TemplateResponse(request, "exam.html", context)

    def picture(self, request: Request) -> Response:
        """Show the report page or the key frame as it was sent."""
        exam_id, kind = request.path_params["id"], request.path_params["kind"]
        with _NotFoundAs404():
            outputs = self.ledger.outputs(exam_id) if kind in PICTURES else ()
        output = next((one for one in outputs if one.kind == kind), None)
        if output is None:
            raise HTTPException(404, "no such picture")
        try:
            path = self.spool.verified(output)
        except DamagedError as error:
            raise HTTPException(404, str(error)) from error
        return Response(png(path), media_type="image/png")

    def api_exams(self, request: Request) -> Response:
        """List exams, newest first; ``?limit=``."""
        text = request.query_params.get("limit", str(_SHOWN))
        if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= _MOST:
            raise HTTPException(400, f"limit: expected a number from 1 to {_MOST}")
        found = self.ledger.exams(limit=int(text))
        return JSONResponse({"exams": exams_plain(self.ledger, found)})

    def api_exam(self, request: Request) -> Response:
        """Give one exam."""
        with _NotFoundAs404():
            exam = self.ledger.exam(request.path_params["id"])
        return JSONResponse(exams_plain(self.ledger, [exam])[0])

    def metrics(self, request: Request) -> Response:
        """Give the counts in Prometheus' text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

    def live(self, request: Request) -> Response:
        """Say that the process answers."""
        return JSONResponse({"status": "ok"})

    def ready(self, request: Request) -> Response:
        """Say whether the node can do its work, and what is wrong if not: 200 or 503."""
        found = {name: _ask(check) for name, check in self.checks.items()}
        ready = all(good for good, _ in found.values())
        checks = {name: {"ok": good, "found": text} for name, (good, text) in found.items()}
        status = "ready" if ready else "not ready"
        return JSONResponse({"status": status, "checks": checks}, 200 if ready else 503)


def _ask(check: Check) -> tuple[bool, str]:
    """Ask; a question that raises has been answered."""
    try:
        return check()
    except DicomnodeError as error:
        return False, str(error)
    except Exception as error:
        return False, type(error).__name__


def _not_now(_request: Request, error: Exception) -> Response:
    """Say what keeps spool or ledger from answering; the loop logs it as well."""
    return PlainTextResponse(str(error), 503)


class _NotFoundAs404:
    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, NotFoundError):
            raise HTTPException(404, "no such exam") from error
