"""That the pages for radiologists and sonographers say what the code does.

The codes of reasons are collected from the source itself. A *carrier* is whatever takes a
parameter or has a field ``code`` of text: :class:`~dicomnode.errors.Reason`, the errors, their
subclasses, ``Elements.wrong``. Of each call of a carrier the argument that becomes the code is
followed: a literal, a constant of this or another module, both sides of ``if`` and ``or``. So are
the defaults of ``code``, what is assigned to that name, and the first of what a function returns
that gives codes with texts. Handed on unchanged may be only what is itself called ``code``. What
cannot be followed fails the test, so that no new way of making a code goes unseen.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import dicomnode
from dicomnode.dicom.exam import ReadSettings
from dicomnode.dicom.exam.dynamic_range import DEFAULT_DYNAMIC_RANGE_DB
from dicomnode.dicom.exam.loading import MOST_DAMAGED
from dicomnode.dicom.exam.panes import SHORTEST_WASH_IN_S
from dicomnode.jobs.options import SettleOptions
from dicomnode.kinds import BY_DEFAULT, KINDS, ON_REQUEST, OutputKind, with_them
from dicomnode.science.kinetics import PARAMETERS
from dicomnode.science.quality.rules import RULES, Rule
from dicomnode.science.quality.unmeasured import _MOST_UNRELIABLE

ROOT = Path(__file__).parents[2]
PACKAGE = Path(dicomnode.__file__).parent
READING, SENDING = (ROOT / "docs" / name for name in ("reading.md", "sending.md"))
PAGES = (READING, SENDING)

NOT_OF_EXAMS = ("training", "migrations", "api.py")
"""Rooms whose reasons reach who trains a model or calls from Python; no sender and no reader."""
OF_DELIVERIES = ("deliver/transport.py", "deliver/c_store.py", "jobs/deliver.py", "store/outbox.py")
"""Here a code is the status that a destination answered with."""
LOOKED_UP = ("codes[check.name]",)
"""Codes taken from RULES, which are collected where the rules are written."""
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Module:
    """One file of the package, as a tree."""

    name: str
    tree: ast.Module

    def walk(self) -> Iterator[ast.AST]:
        return ast.walk(self.tree)


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if not set(NOT_OF_EXAMS) & set(place.parts) and str(place) not in OF_DELIVERIES:
            found.append(Module(str(place), ast.parse(path.read_text())))
    return tuple(found)


def is_text(annotation: ast.expr | None) -> bool:
    """Whether a code may be given: text, if only perhaps, and no coded concept of DICOM."""
    written = "" if annotation is None else ast.unparse(annotation)
    return bool(re.search(r"\bstr\b", written)) and not written.startswith("tuple")


def arguments(function: ast.FunctionDef) -> list[ast.arg]:
    """All parameters, as a caller counts them."""
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return every[1:] if every and every[0].arg in ("self", "cls") else every


def place_of_code(node: ast.ClassDef | ast.FunctionDef) -> int | None:
    """Where among its arguments a callable takes a code; None where it takes none."""
    if isinstance(node, ast.FunctionDef):
        takes = [(one.arg, one.annotation) for one in arguments(node)]
    else:
        init = [one for one in node.body if isinstance(one, ast.FunctionDef)]
        init = [one for one in init if one.name == "__init__"]
        if init:
            return place_of_code(init[0])
        fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
        takes = [(ast.unparse(one.target), one.annotation) for one in fields]
    places = [n for n, (name, kind) in enumerate(takes) if name == "code" and is_text(kind)]
    return places[0] if places else None


@cache
def carriers() -> dict[tuple[str, str], int]:
    """Module ("" for all of them) and name of each carrier, and where it takes the code."""
    found: dict[tuple[str, str], int] = {}
    classes: list[ast.ClassDef] = []
    for module in modules():
        for node in module.walk():
            if not isinstance(node, ast.ClassDef | ast.FunctionDef):
                continue
            place = place_of_code(node)
            if place is not None and node.name != "__init__":
                found[module.name if node.name.startswith("_") else "", node.name] = place
            if isinstance(node, ast.ClassDef):
                classes.append(node)
    for _ in classes:  # as deep as inheritance may be
        for node in classes:
            has_own = any(getattr(one, "name", "") == "__init__" for one in node.body)
            for base in node.bases:
                if not has_own and ("", ast.unparse(base)) in found:
                    found.setdefault(("", node.name), found["", ast.unparse(base)])
    return found


def code_argument(module: Module, call: ast.Call) -> ast.expr | None:
    """Give the argument that becomes a code, if there is one."""
    for keyword in call.keywords:
        if keyword.arg == "code":
            return keyword.value if not isinstance(keyword.value, ast.Tuple) else None
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    place = carriers().get((module.name if name.startswith("_") else "", name))
    starred = any(isinstance(one, ast.Starred) for one in call.args)
    if place is None or starred or place >= len(call.args):
        return None
    return call.args[place]


@cache
def constants() -> dict[str, set[str]]:
    """Texts that stand under a name in capitals, whatever the module."""
    found: dict[str, set[str]] = {}
    for module in modules():
        for node in module.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for target in node.targets:
                    if isinstance(node.value.value, str):
                        found.setdefault(ast.unparse(target), set()).add(node.value.value)
    return found


def own_constant(module: Module, name: str) -> set[str]:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            own = node.value.value if isinstance(node.value, ast.Constant) else None
            return {own} if isinstance(own, str) else set()
    return constants().get(name, set())


def followed(module: Module, value: ast.expr) -> Iterator[str]:
    """Give what a code may be; raise where that cannot be told."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from (*followed(module, one), *followed(module, other))
        case ast.BoolOp(values=each):
            for one in each:
                yield from followed(module, one)
        case ast.Attribute(attr="code") | ast.Name(id="code"):
            return
        case ast.Attribute(value=ast.Name(id="codes")):
            return  # a coded concept of dicomnode.dicom.codes
        case ast.Name(id=name) if own_constant(module, name):
            yield from own_constant(module, name)
        case _ if ast.unparse(value) in LOOKED_UP:
            return
        case _:
            raise AssertionError(
                f"{module.name}:{value.lineno}: which code is {ast.unparse(value)}?"
            )


def kept(module: Module, node: ast.AST) -> Iterator[str]:
    """Codes that a name ``code`` holds: where a caller gives none, or from an assignment on."""
    match node:
        case ast.AnnAssign(target=ast.Name(id="code"), value=ast.expr() as value):
            yield from followed(module, value)
        case ast.Assign(
            targets=[ast.Name(id="code")],
            value=ast.Constant() | ast.IfExp() | ast.BoolOp() as value,
        ):
            yield from followed(module, value)
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value="code"), default]):
            yield from followed(module, default)
        case ast.arguments():
            every = [*node.posonlyargs, *node.args]
            last = every[len(every) - len(node.defaults) :]
            pairs = [*zip(last, node.defaults, strict=True)]
            pairs += [
                (one, value)
                for one, value in zip(node.kwonlyargs, node.kw_defaults, strict=True)
                if value is not None
            ]
            for one, value in pairs:
                if one.arg == "code" and is_text(one.annotation):
                    yield from followed(module, value)


def returned(module: Module, node: ast.AST) -> Iterator[str]:
    """Codes of a function that gives them with a text, as some of its returns show."""
    if not isinstance(node, ast.FunctionDef):
        return
    values = [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]
    firsts = [one.elts[0] for one in values if isinstance(one, ast.Tuple) and one.elts]
    if any(isinstance(one, ast.Attribute) and one.attr == "code" for one in firsts):
        for one in firsts:
            yield from followed(module, one)


def codes_in(module: Module) -> Iterator[str]:
    """Give every code that a module can make."""
    for node in module.walk():
        yield from (*kept(module, node), *returned(module, node))
        if isinstance(node, ast.Call):
            argument = code_argument(module, node)
            if argument is not None:
                yield from followed(module, argument)


@cache
def codes() -> frozenset[str]:
    """Every code of a reason that whoever sends or reads may be told."""
    return frozenset(code for module in modules() for code in codes_in(module)) - {""}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def section(page: Path, title: str) -> str:
    """Give what stands under a heading of the second level."""
    (found,) = (
        part.partition("\n")[2]
        for part in page.read_text(encoding="utf-8").split("\n## ")
        if part.startswith(title + "\n")
    )
    return found


def rows(text: str) -> list[list[str]]:
    """Give the rows of all tables below their heads."""
    lines = text.splitlines()
    return [
        cells(line)
        for before, line in pairwise(lines)
        if line.startswith("|") and before.startswith("|") and not line.startswith("|---")
    ]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def in_one_line(page: Path) -> str:
    return " ".join(page.read_text(encoding="utf-8").split())


@cache
def explained() -> dict[str, str]:
    """Give the codes of the page for sonographers, and what follows from each."""
    found = [
        (code, row[1]) for row in rows(section(SENDING, "Every reason")) for code in quoted(row[0])
    ]
    assert len(dict(found)) == len(found), "a code is explained once"
    return dict(found)


def test_every_code_that_the_code_can_give_is_explained_and_no_other() -> None:
    assert codes() - set(explained()) == set(), "explain in docs/sending.md"
    assert set(explained()) - codes() == set(), "no longer given: take out of docs/sending.md"


def test_codes_are_kebab_case() -> None:
    assert [code for code in sorted(codes()) if not KEBAB.fullmatch(code)] == []


SNIPPETS = {
    "a reason": 'Reason("new-code", "text")',
    "an error": 'raise InputError("new-code", f"{name}: text", hint="again")',
    "an error that has its code from above": 'raise WorkerDiedError("new-code", "text")',
    "by name": 'Reason(text="text", code="new-code")',
    "of an element": 'raise elements.wrong("Rows", "some", 0, "new-code")',
    "of all elements": 'elements = replace(elements, code="new-code")',
    "one of two": 'Reason("motion" if still else "new-code", "text")',
    "where none is named": 'InputError(code or "new-code", "text")',
    "a constant": 'NEW = "new-code"\nReason(NEW, "text")',
    "of an error without": 'code = getattr(error, "code", "new-code")',
    "kept first": 'code = "motion" if moved else "new-code"\nReason(code, "text")',
    "a default": 'def told(text: str, code: str = "new-code") -> Reason: ...',
    "a field": "class Told:\n    code: str = 'new-code'",
    "with its text": """
def cause(error: Exception) -> tuple[str, str]:
    if isinstance(error, WorkError):
        return error.code, str(error)
    return "new-code", "text"
""",
}


@pytest.mark.parametrize("source", SNIPPETS.values(), ids=SNIPPETS)
def test_a_code_is_seen_however_it_is_made(source: str) -> None:
    assert "new-code" in set(codes_in(Module("new.py", ast.parse(source))))


def test_a_code_that_cannot_be_followed_is_told() -> None:
    with pytest.raises(AssertionError, match=r"new\.py:1: which code is table\[name\]"):
        list(codes_in(Module("new.py", ast.parse('Reason(table[name], "text")'))))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_follows_from_a_failed_check_is_what_the_rules_say(rule: Rule) -> None:
    worst = "refused" if rule.refuses else "not judged" if rule.at_best == "D" else "grade"
    assert worst in explained()[rule.code]


LIMIT = re.compile(r"`([^`]+)` (at least|at most) (\d+(?:\.\d+)?)(?: (%|[A-Za-z]+))?")


def test_every_limit_quoted_is_that_of_its_check() -> None:
    found = LIMIT.findall(section(SENDING, "Recording"))
    assert sorted(name for name, *_ in found) == sorted(rule.name for rule in RULES)
    rules = {rule.name: rule for rule in RULES}
    for name, bound, number, unit in found:
        rule = rules[name]
        limit = float(number) / 100 if unit == "%" else float(number)
        assert bound == rule.bound, name
        assert limit == pytest.approx(rule.limit), name
        assert rule.unit in ("1", unit), f"{name} is in {rule.unit}"


def delivered_settings() -> dict[str, Any]:
    settings = tomllib.loads((ROOT / "deploy" / "node.toml").read_text(encoding="utf-8"))
    return dict(settings["node"])


@pytest.mark.parametrize(
    "words",
    [
        f"else {DEFAULT_DYNAMIC_RANGE_DB:g} dB are assumed",
        f"a gap of more than {ReadSettings().injection_gap_s / 60:g} minutes",
        f"nothing has come for {SettleOptions().quiet_s:g} s (`quiet_s`)",
        f"the clip is shorter than {SHORTEST_WASH_IN_S:g} s",
        f"say `{delivered_settings()['ae_title']}`, port `{delivered_settings()['port']}`",
    ],
)
def test_other_figures_are_those_of_the_code(words: str) -> None:
    assert words in in_one_line(SENDING)


def test_more_than_a_quarter_and_more_than_half_are_what_the_code_means() -> None:
    assert "more than a quarter of them" in explanation("damaged-frames")
    assert MOST_DAMAGED == 0.25
    assert "more than half of the lesion" in explanation("unreliable-perfusion")
    assert _MOST_UNRELIABLE == 0.5


def explanation(code: str) -> str:
    return next(row[2] for row in rows(section(SENDING, "Every reason")) if code in quoted(row[0]))


@pytest.mark.parametrize("name", with_them(BY_DEFAULT))
def test_what_is_made_by_default_is_in_the_table_of_what_comes_back(name: str) -> None:
    kind = KINDS[name]
    listed = {row[0]: row[1] for row in rows(section(READING, "What comes back, and where"))}
    assert listed[series_number(kind)] == kind.description


@pytest.mark.parametrize("name", ON_REQUEST)
def test_what_is_made_on_request_is_named(name: str) -> None:
    assert f"{series_number(KINDS[name])}, {KINDS[name].description}" in in_one_line(READING)


def series_number(kind: OutputKind) -> str:
    """Series Number (0020,0011) of the first injection, as all results are stamped with."""
    return str(kind.series_number(1))


def test_every_kinetic_parameter_is_explained() -> None:
    named = [name for row in rows(section(READING, "The numbers")) for name in row[0].split(", ")]
    assert sorted(named) == sorted(parameter.name for parameter in PARAMETERS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_both_say_that_nothing_is_validated(page: Path) -> None:
    text = in_one_line(page)
    assert "Research use only" in text
    assert re.search(r"nothing here is clinically validated", text, re.IGNORECASE)
