"""The short form of ``make torture``; and that its page and its table tell of the same troubles."""

import re
import warnings
from pathlib import Path

import pytest

from torture.__main__ import SEED
from torture.arena import UNHURRIED
from torture.figures import Figure
from torture.page import PAGE
from torture.runner import run
from torture.scenario import Scenario
from torture.table import SHORT, TROUBLES

SCENARIOS = [
    pytest.param(trouble.name, scenario, id=f"{trouble.name}: {scenario.name}")
    for trouble in TROUBLES
    for scenario in trouble.scenarios(SHORT)
]


@pytest.mark.parametrize(("trouble", "scenario"), SCENARIOS)
def test_nothing_is_lost_stuck_or_silent(trouble: str, scenario: Scenario) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about what is wrong on purpose
        done = run(trouble, scenario, SEED, UNHURRIED)
    if done.skipped:
        pytest.skip(done.skipped)
    assert not done.broken
    assert [f"{fault.figure}: {fault.what}" for fault in done.outcome.faults] == []


def test_every_file_of_troubles_is_a_row_of_the_table() -> None:
    folder = Path(__file__).parent / "troubles"
    files = {path.stem.replace("_", " ") for path in folder.glob("[a-z]*.py")}
    assert files == {trouble.name for trouble in TROUBLES}


def test_the_page_shows_every_trouble_and_every_figure() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for trouble in TROUBLES:
        assert f"| {trouble.name} | {trouble.what} |" in page
    for figure in Figure:
        assert re.search(rf"^\| {re.escape(figure)} \| \d+ \| 0 \|$", page, re.MULTILINE)
