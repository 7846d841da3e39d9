"""``dicomnode exams``: what came, what became of it, and trying again.

These commands read and change the ledger only; a running node picks the changes up by itself.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table

from dicomnode.cli.answer import show_answer
from dicomnode.cli.options import config_option
from dicomnode.cli.present import console, counted, plain
from dicomnode.config import Settings, load_settings
from dicomnode.errors import DamagedError, SettingsError, StoreError
from dicomnode.log import configure
from dicomnode.named import Named
from dicomnode.store.ledger import Ledger
from dicomnode.store.lock import database_lock, directory_lock
from dicomnode.store.rows import (
    DeliveryRow,
    ExamRow,
    Instance,
    InstanceRow,
    Output,
    OutputRow,
    RejectionRow,
)
from dicomnode.store.spool import Spool
from dicomnode.store.states import (
    DeliveryState,
    ExamEvent,
    ExamState,
    Phase,
    Tone,
    before_exam,
)
from dicomnode.store.url import sqlite_file
from dicomnode.web.labels import short_uid

__all__ = ["exams"]

number_argument = click.argument("number", type=int)
TAKE_UP_ALL = Named("dicomnode.service.take_up:take_up_all")
STYLES = {Tone.GOOD: "green", Tone.WARN: "yellow", Tone.BAD: "bold red"}


@click.group()
def exams() -> None:
    """List exams, say why one has no result, try again."""


@contextmanager
def _ledger(config: Path) -> Iterator[tuple[Settings, Ledger]]:
    settings = load_settings(config)
    if not settings.node.data_dir.is_dir():
        raise SettingsError(
            f"node.data_dir: expected the folder of a node that has run, found none at "
            f"{settings.node.data_dir}"
        )
    file = sqlite_file(settings.ledger_url)
    if file is not None and not file.is_file():
        raise SettingsError(f"expected the ledger of a node that has run, found none at {file}")
    ledger = Ledger(settings.ledger_url)
    try:
        yield settings, ledger
    finally:
        ledger.close()


def _styled(state: ExamState | DeliveryState) -> str:
    style = STYLES.get(state.tone)
    return f"[{style}]{state}[/]" if style else str(state)


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _answer(exam: ExamRow) -> str:
    if exam.reasons:
        more = f" (+{len(exam.reasons) - 1} more)" if len(exam.reasons) > 1 else ""
        return plain(exam.reasons[0].code) + more
    if exam.summary.grade is None:
        return ""
    answer = exam.summary.answer or "answer of an earlier version"
    return plain(f"{answer}, quality {exam.summary.grade}")


def _assumed(exam: ExamRow) -> str:
    """What the probability assumes, where there is one."""
    return "" if exam.summary.malignant_probability is None else exam.summary.premises


COLUMNS: Mapping[str, Callable[[ExamRow], str]] = {
    "exam": lambda exam: str(exam.id),
    "state": lambda exam: _styled(exam.state),
    "result": _answer,
    "received": lambda exam: _clock(exam.last_instance_at)[: len("YYYY-MM-DD hh:mm")],
    "inj/rev": lambda exam: f"{exam.injection}/{exam.revision}",
    "study": lambda exam: plain(short_uid(exam.study_uid)),
}
"""Columns of the list of exams."""


@exams.command("list")
@config_option
@click.option("--state", "states", multiple=True, type=click.Choice(list(ExamState)))
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
def list_exams(config: Path, states: tuple[str, ...], limit: int) -> None:
    """List exams, newest first."""
    wanted = tuple(map(ExamState, states)) or tuple(ExamState)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in COLUMNS:
        table.add_column(title, no_wrap=title != "result")
    with _ledger(config) as (_, ledger):
        found = ledger.exams(states=wanted, limit=limit)
        for exam in found:
            table.add_row(*(cell(exam) for cell in COLUMNS.values()))
        turned_away = sum(one.times for one in ledger.rejections())
        deliveries = ledger.deliveries_of([exam.id for exam in found])
    out = console()
    out.print(table)
    for assumed in sorted(set(filter(None, map(_assumed, found)))):
        out.print(f"a probability {plain(assumed)}", highlight=False, soft_wrap=True)
    parked = [
        str(number)
        for number, rows in deliveries.items()
        if any(one.state.phase is Phase.WAITS for one in rows)
    ]
    if parked:
        out.print(
            f"results that a destination did not take, of exam {', '.join(parked)}: "
            "`dicomnode exams show NUMBER` says why",
            highlight=False,
            soft_wrap=True,
        )
    if turned_away:
        out.print(
            f"{counted(turned_away, 'association')} turned away: `dicomnode exams show` says whose",
            highlight=False,
        )


def _show_instances(instances: tuple[InstanceRow, ...], spool: Spool) -> None:
    out = console()
    out.print(f"\n[bold]received[/]: {counted(len(instances), 'instance')}", highlight=False)
    for one in instances:
        notes = [f"other bytes, copy {one.variant + 1}"] if one.variant else []
        notes += [wrong] if (wrong := _wrong(one, spool)) else []
        note = f" [yellow]{', '.join(notes)}[/]" if notes else ""
        out.print(
            f"  {_clock(one.received_at)}  {plain(one.calling_ae)}  {one.size_bytes / 1e6:.1f} MB  "
            f"{plain(one.sop_instance_uid)}{note}",
            highlight=False,
            soft_wrap=True,
        )


def _show_results(outputs: tuple[OutputRow, ...], spool: Spool) -> None:
    out = console()
    wrong = {output.kind: _wrong(output, spool) for output in outputs}
    if outputs:
        out.print("\n[bold]results[/]")
    for output in outputs:
        note = f" [yellow]{wrong[output.kind]}[/]" if wrong[output.kind] else ""
        out.print(
            f"  {plain(output.kind):<9} {plain(spool.absolute(output.path))}{note}",
            highlight=False,
            soft_wrap=True,
        )


def _wrong(recorded: Instance | Output, spool: Spool) -> str:
    """Say in a word what is wrong with a kept file: nothing, missing, damaged, not readable."""
    try:
        spool.verified(recorded)
    except DamagedError as error:
        return error.code.removeprefix("file-")
    except StoreError:
        return "not readable"
    return ""


def _show_deliveries(deliveries: tuple[DeliveryRow, ...]) -> None:
    console().print("\n[bold]deliveries[/]")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("  destination", "output", "state", "attempts", "status", "note"):
        table.add_column(title)
    for one in deliveries:
        table.add_row(
            f"  {plain(one.destination)}",
            plain(one.output.kind),
            _styled(one.state),
            str(one.attempts),
            one.code,
            plain(one.error) + _next_attempt(one),
        )
    console().print(table)


def _next_attempt(delivery: DeliveryRow) -> str:
    if delivery.state is not DeliveryState.RETRY:
        return ""
    return f" (next attempt {_clock(delivery.next_attempt_at)})"


def _show_rejections(rejections: tuple[RejectionRow, ...]) -> None:
    out = console()
    out.print("[bold]associations turned away[/], so that nothing of them could be kept")
    for one in rejections:
        out.print(
            f"  {_clock(one.last_at)}  {plain(one.calling_ae)} at {plain(one.host)} asked for "
            f"{plain(one.called_ae)}: [yellow]{plain(one.reason)}[/], {counted(one.times, 'time')}",
            highlight=False,
            soft_wrap=True,
        )
    if not rejections:
        out.print("  none")


@exams.command("show")
@click.argument("number", type=int, required=False)
@config_option
def show(number: int | None, config: Path) -> None:
    """Tell everything about exam NUMBER: state, reasons, what came, what was sent where.

    Without NUMBER: who was turned away before anything could come.
    """
    with _ledger(config) as (settings, ledger):
        if number is None:
            _show_rejections(ledger.rejections())
            return
        exam = ledger.exam(number)
        out = console()
        answer = "" if exam.summary.grade is None else f", {_answer(exam)}"
        out.print(f"exam {exam.id}: {_styled(exam.state)}{answer}", highlight=False)
        out.print(
            f"  study {plain(exam.study_uid)}, injection {exam.injection}, revision {exam.revision}"
            + (f", replaces exam {exam.replaces}" if exam.replaces else ""),
            highlight=False,
            soft_wrap=True,
        )
        for reason in (*exam.reasons, *ledger.waits(exam)):
            out.print(
                f"  [yellow]{plain(reason.code)}[/]: {plain(reason.text)}",
                highlight=False,
                soft_wrap=True,
            )
        spool = Spool(settings.node.data_dir / "spool")
        _show_instances(ledger.variants_of(exam), spool)
        record = ledger.record(exam.id)
        if record is not None and exam.state is ExamState.ANALYSED:
            out.print()
            show_answer(out, record)
        _show_results(ledger.outputs(exam.id), spool)
        if deliveries := ledger.deliveries(exam.id):
            _show_deliveries(deliveries)


@exams.command("retry")
@number_argument
@config_option
def retry(number: int, config: Path) -> None:
    """Try again whatever has no end: analyse what has no result, send what is not sent.

    An exam that is still receiving is taken as complete. A refusal is analysed again, too.
    """
    with _ledger(config) as (_, ledger):
        now = time.time()
        waiting = ledger.release(number, now=now)
        if waiting:
            console().print(f"deliveries of exam {number} that will be tried again: {waiting}")
        if not waiting or ledger.exam(number).state is not ExamState.ANALYSED:
            console().print(f"exam {ledger.retry(number, now=now).id} is queued again")


@exams.command("give-up")
@number_argument
@config_option
def give_up(number: int, config: Path) -> None:
    """End exam NUMBER without a result, or send what is left of its results no more.

    `retry` and `resend` take it up again.
    """
    with _ledger(config) as (_, ledger):
        now = time.time()
        if ledger.exam(number).state in before_exam(ExamEvent.GIVE_UP):
            ledger.give_up(number, now=now)
            console().print(f"exam {number} is given up")
            return
        count = ledger.give_up_deliveries(number, now=now)
        console().print(f"deliveries of exam {number} that are given up: {count}")


@exams.command("reanalyse")
@number_argument
@config_option
def reanalyse(number: int, config: Path) -> None:
    """Analyse exam NUMBER's study anew, as a further revision; the older result stays."""
    with _ledger(config) as (_, ledger):
        exam = ledger.reanalyse(number, now=time.time())
        console().print(f"exam {exam.id} (revision {exam.revision}) is queued")


@exams.command("resend")
@number_argument
@config_option
def resend(number: int, config: Path) -> None:
    """Send the results of exam NUMBER again: the same bytes, the same UIDs."""
    with _ledger(config) as (_, ledger):
        count = ledger.resend(ledger.exam(number).id, now=time.time())
        console().print(f"results of exam {number} that will be sent again: {count}")


@exams.command("take-up")
@config_option
def take_up(config: Path) -> None:
    """Record received files that the ledger lacks, after it was lost or put back from a copy.

    The node must be stopped. Their studies are analysed and sent when it runs again.
    """
    settings = load_settings(config)
    configure(settings.log)
    directory = settings.node.data_dir
    with directory_lock(directory), database_lock(settings.ledger_url, directory):
        ledger = Ledger(settings.ledger_url)
        try:
            taken, left = TAKE_UP_ALL(ledger, Spool(directory / "spool"), now=time.time())
        finally:
            ledger.close()
    console().print(f"received files that are taken up: {taken}")
    if left:
        raise StoreError(
            f"expected to take up every received file, but {counted(left, 'file')} cannot be read",
            hint="the log above names them",
        )
