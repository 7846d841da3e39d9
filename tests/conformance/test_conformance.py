"""What this node says of itself is what its code does: the committed files are regenerated."""

import difflib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.sr.coding import Code

from conformance.__main__ import RESULT_SCHEMA
from conformance.coded import declared_codes
from conformance.exam import cases
from conformance.generate import documents, result_schema
from conformance.validators import VERSION_OPTION, judgements, versions
from dicomnode.dicom.codes import PRIVATE_SCHEME
from dicomnode.dicom.results.sr.rows import FEATURE_UNITS
from dicomnode.kinds import SETTABLE
from dicomnode.network.statuses import STATUSES
from dicomnode.network.syntaxes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from parts.programs import program

FOLDER = Path(__file__).resolve().parents[2] / "conformance"
HINT = "\nrun `make conformance`, and read what changed before it is committed"


def committed(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def difference(name: str, text: str) -> str:
    found = difflib.unified_diff(
        committed(name).splitlines(), text.splitlines(), f"conformance/{name}", "the code", n=1
    )
    return "\n".join(line.rstrip("\n") for line in found)


@pytest.fixture(scope="module")
def statement() -> str:
    return documents()["statement.md"]


@pytest.mark.parametrize("name", ["statement.md", "integration.md", "seg.txt", "sr.txt"])
def test_the_committed_file_is_what_the_code_says(name: str) -> None:
    text = documents()[name]
    assert text == committed(name), difference(name, text) + HINT


def test_the_schema_in_docs_is_that_of_the_record() -> None:
    assert RESULT_SCHEMA.read_text(encoding="utf-8") == result_schema(), HINT


def test_the_validators_still_say_what_is_committed() -> None:
    for name in VERSION_OPTION:
        program(name)
    if any(version not in committed("validators.md") for version in versions()):
        pytest.skip(f"validators.md is of other versions than {', '.join(versions())}")
    text = judgements()
    assert text == committed("validators.md"), difference("validators.md", text) + HINT


def test_validators_find_no_error() -> None:
    printed = committed("validators.md").splitlines()
    assert [line for line in printed if "Error" in line or line[:2] in ("E:", "W:", "F:")] == []


@pytest.mark.parametrize("uid", [*STORAGE_CLASSES, *TRANSFER_SYNTAXES])
def test_what_is_accepted_stands_in_the_statement(statement: str, uid: str) -> None:
    assert f"`{uid}`" in statement


def test_every_status_stands_in_the_statement(statement: str) -> None:
    for judgement in STATUSES:
        assert judgement.meaning in statement
        assert f"0x{judgement.first:04X}" in statement


def test_every_private_code_stands_in_its_table(statement: str) -> None:
    table = private_table(statement)
    declared = {code.value for code in declared_codes() if is_private(code)}
    used = {
        str(item.CodeValue)
        for case in cases()
        for dataset in case.objects.values()
        for item in code_items(dataset)
        if item.CodingSchemeDesignator == PRIVATE_SCHEME
    }
    assert len(declared) > 30
    assert len(used) > len(FEATURE_UNITS)
    assert sorted((declared | used) - table) == []


def test_every_output_of_the_settings_is_described(statement: str) -> None:
    for kind in SETTABLE:
        assert f"(`{kind}`: " in statement


def test_no_patient_is_in_the_statement_but_the_made_up_one_is_in_the_dumps(statement: str) -> None:
    name = str(cases().base.header.PatientName)
    assert name not in statement
    assert name in documents()["seg.txt"]


def test_attributes_are_told_apart_by_where_they_come_from(statement: str) -> None:
    for row in (
        "| `PatientName` | (0010,0010) | PN | copied from the source |",
        "| `SOPInstanceUID` | (0008,0018) | UI | generated: derived UID |",
        "| `ContentTime` | (0008,0033) | TM | generated: time of the analysis |",
        "| `SegmentationType` | (0062,0001) | CS | fixed: `BINARY` |",
        "| `>SegmentLabel` | (0062,0005) | LO | derived by the analysis |",
        "| `>>PixelSpacing` | (0028,0030) | DS | derived from the source |",
    ):
        assert row in statement


def is_private(code: Code) -> bool:
    return bool(code.scheme_designator == PRIVATE_SCHEME)


def private_table(statement: str) -> set[str]:
    """Code values in the first column of the table of private codes."""
    section = statement.partition("### Private codes")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {row.split("`")[1] for row in rows}


def code_items(dataset: Dataset) -> Iterator[Dataset]:
    for element in dataset.iterall():
        if element.VR == "SQ":
            yield from (item for item in element.value if "CodeValue" in item)
