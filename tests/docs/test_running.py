"""docs/running.md names what there is: commands, settings, states, metrics, events; no more."""

import ast
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any, cast, get_args

import click
import pytest

from dicomnode.cli import cli
from dicomnode.config import NodeOptions, Settings
from dicomnode.record.schema import Record
from dicomnode.service.health import health_checks
from dicomnode.service.reload import RELOADED
from dicomnode.service.scrub import Scrub
from dicomnode.store.ledger import Ledger
from dicomnode.store.spool import Spool
from dicomnode.store.states import DeliveryState, ExamState
from dicomnode.web.app import make_app
from dicomnode.web.metrics import LedgerCollector

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "running.md"
INSTALL = REPOSITORY / "deploy" / "INSTALL.md"
SETTINGS = REPOSITORY / "deploy" / "node.toml"
COMMAND = re.compile("dicomnode(?: [a-z][a-z-]*)+")
DOTTED = re.compile(r"[a-z_]+\.[a-z_]+")


def lines_of(page: Path) -> Iterator[str]:
    """Lines of a page, without its code blocks."""
    fenced = False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield line


def section(title: str) -> list[str]:
    """Lines below a heading, up to the next of its level or above."""
    found: list[str] = []
    level = 0
    for line in lines_of(PAGE):
        marks = len(line) - len(line.lstrip("#"))
        if level and 0 < marks <= level:
            return found
        if level:
            found.append(line)
        elif marks and line.strip("# ") == title:
            level = marks
    assert level, f"no section {title!r}"
    return found


def rows(title: str) -> dict[str, list[str]]:
    """Rows of a section's tables: what the first cell names in backticks, and the other cells."""
    found: dict[str, list[str]] = {}
    for line in section(title):
        if named := re.match(r"\| `([^`]+)`", line):
            assert named[1] not in found, f"{title}: {named[1]} twice"
            found[named[1]] = [cell.strip() for cell in line.strip("|").split("|")[1:]]
    return found


def commands(group: click.Group, *path: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name))


def test_every_command_has_a_row_and_every_row_is_a_command() -> None:
    told = [COMMAND.match(name) for name in rows("Commands")]
    assert sorted(match[0] for match in told if match) == sorted(commands(cli, "dicomnode"))


def test_every_command_in_the_text_exists() -> None:
    named = re.findall(f"`({COMMAND.pattern})", "\n".join(lines_of(PAGE)))
    assert sorted(set(named) - set(commands(cli, "dicomnode"))) == []


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield ledger


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def scrub(ledger: Ledger, spool: Spool) -> Scrub:
    scrub = Scrub(ledger, spool, retention_days=0.0, is_busy=lambda: False, ending=Event())
    scrub.scrub()
    return scrub


def test_every_metric_has_a_row_and_every_row_is_a_metric(
    ledger: Ledger, spool: Spool, scrub: Scrub
) -> None:
    families = list(LedgerCollector(ledger, spool, lambda: scrub.counts).collect())
    told = rows("Metrics")
    assert sorted(told) == sorted(family.name for family in families)
    for family in families:
        used = {name for sample in family.samples for name in sample.labels}
        assert set(re.findall("`(.+?)`", told[family.name][0])) == used, family.name
        assert f"all are {family.type}s" in " ".join(section("Metrics")).lower()
    for state in scrub.counts:
        assert f"`{state}`" in " ".join(told["dicomnode_files"])


def test_every_health_check_has_a_row(tmp_path: Path, ledger: Ledger, spool: Spool) -> None:
    settings = Settings(node=NodeOptions(data_dir=tmp_path))
    reconciler = cast("Any", None)  # nothing is asked
    checks = health_checks(settings, ledger, spool, reconciler=reconciler, models=())
    assert sorted(rows("Health")) == sorted(checks)


def test_every_address_of_the_page_is_named(ledger: Ledger, spool: Spool) -> None:
    text = "\n".join(section("Health and metrics"))
    for route in make_app(ledger=ledger, spool=spool, checks={}, key=b"k" * 32).routes:
        address = getattr(route, "path", "").partition("{")[0]
        assert address == "/static" or f"`{address}" in text or f"{address}`" in text, route


def test_every_section_of_the_settings_has_a_row_that_says_what_a_reload_does() -> None:
    told = rows("Settings")
    expected = {
        f"[[{name}]]" if isinstance(field.default, tuple) else f"[{name}]": (
            "reload" if name in RELOADED else "restart"
        )
        for name, field in Settings.model_fields.items()
    }
    assert {name: rest[-1] for name, rest in told.items()} == expected


def test_every_key_in_the_text_is_in_the_settings_file() -> None:
    """Names with an underscore are keys, except in the sections that have other names."""
    known = re.findall(r"^(?:# )?(\w+) =", SETTINGS.read_text(), re.MULTILINE)
    others = section("Metrics") + section("Log")
    text = "\n".join(line for line in lines_of(PAGE) if line not in others)
    named = re.findall("`([a-z]+_[a-z_]+)`", text)
    assert len(named) > 5
    assert sorted(set(named) - set(known)) == []


@pytest.mark.parametrize(
    ("title", "states"),
    [("States of an exam", ExamState), ("States of a delivery", DeliveryState)],
)
def test_every_state_has_a_row(title: str, states: type[ExamState | DeliveryState]) -> None:
    assert sorted(rows(title)) == sorted(states)


def literals() -> set[str]:
    """Strings of the package that look like an event; an exam's end is named by its status."""
    found = {f"exam.{status}" for status in get_args(Record.model_fields["status"].annotation)}
    for path in (REPOSITORY / "dicomnode").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return {one for one in found if DOTTED.fullmatch(one)}


def test_every_event_in_the_text_is_in_the_code() -> None:
    assert len(DOTTED.findall("\n".join(section("Log")))) > 20
    named = re.findall(f"`({DOTTED.pattern})`", "\n".join(lines_of(PAGE)))
    assert sorted(set(named) - literals()) == []


def test_installing_and_running_lead_to_each_other() -> None:
    assert "(../docs/running.md)" in INSTALL.read_text()
    assert "(../deploy/INSTALL.md)" in PAGE.read_text()
