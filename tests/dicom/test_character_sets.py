"""Names in any script come back equal from every output, in two readers."""

import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from conformance import example
from dicomnode.dicom.header import read_header
from parts.outputs import Files, small_set
from parts.programs import program
from parts.waiting import PATIENCE_S

NAMES = {
    "Latin-1": ("ISO_IR 100", "Müller^Änne"),
    "Cyrillic": ("ISO_IR 144", "Люкceмбypг^Роза"),
    "UTF-8": ("ISO_IR 192", "Wang^XiaoDong=王^小東=Łukasiewicz^Zoë"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "half-width Japanese": (
        ["ISO 2022 IR 13", "ISO 2022 IR 87"],
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "Chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "Chinese, four bytes": ("GB18030", "Zhu^Rongji=朱^镕㐂"),
    "Chinese, GBK": ("GBK", "Wang^XiaoDong=王^小东"),
}


TAGS = (
    "PatientName",
    "ReferringPhysicianName",
    "StudyDescription",
    "InstitutionName",
    "RequestedProcedureDescription",
)
UNCONVERTED = ("Japanese", "half-width Japanese")
"""Debian's DCMTK leaves conversion to the C library, which does not know these sets."""


def text_of(path: Path, *tags: str, convert: bool = True) -> list[bytes]:
    """Values of elements as DCMTK reads them, in UTF-8 or as stored."""
    searched = [part for tag in tags for part in ("+P", tag)]
    result = subprocess.run(
        [program("dcmdump"), *(["--convert-to-utf8"] * convert), *searched, str(path)],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert result.stderr == b""
    lines = result.stdout.splitlines()
    return [line.partition(b"[")[2].rpartition(b"]")[0] for line in lines]


@pytest.mark.parametrize("script", NAMES)
def test_text_comes_back_equal_from_every_output(script: str, tmp_path: Path) -> None:
    character_set, name = NAMES[script]
    words = name.rpartition("=")[2].replace("^", " ")
    header = example.header()
    header.SpecificCharacterSet = character_set
    header.PatientName = header.ReferringPhysicianName = name
    header.StudyDescription = header.InstitutionName = words
    header.RequestAttributesSequence[0].RequestedProcedureDescription = words
    files = small_set(tmp_path, header)
    convert = script not in UNCONVERTED
    as_sent = text_of(tmp_path / "source.dcm", *TAGS, convert=convert)
    assert not convert or [text.decode() for text in as_sent] == [name, name, *[words] * 3]
    for kind, path in files.items():
        dataset = dcmread(path)
        report = kind in ("sr", "refusal")
        requests = "ReferencedRequestSequence" if report else "RequestAttributesSequence"
        assert dataset.PatientName == name
        assert dataset.ReferringPhysicianName == name
        assert dataset.StudyDescription == words
        assert dataset[requests][0].RequestedProcedureDescription == words
        assert dataset.ContributingEquipmentSequence[0].InstitutionName == words
        assert sorted(text_of(path, *TAGS, convert=convert)) == sorted(as_sent)


MISREAD = {
    "Latin-1 as UTF-8": ("ISO_IR 192", "MÜLLER^ÉVA".encode("latin-1"), "ISO_IR 100"),
    "Latin-1 as GB18030": ("GB18030", b"M\xdcLLER^\xff\xc9", "ISO_IR 100"),
    "Latin-1 as Korean": ("\\ISO 2022 IR 149", b"M\x1b$)C\xfe\xffLLER", "ISO_IR 100"),
    "Latin-1 as Thai": ("ISO_IR 166", b"M\xdcLLER^\xfe", "ISO_IR 100"),
    "half a letter of UTF-8": ("ISO_IR 192", "MÜ".encode()[:-1] + b"x", "ISO_IR 100"),
    "Latin-1 without a set": ("", "MÜLLER^ÉVA".encode("latin-1"), "ISO_IR 100"),
    "UTF-8 as ASCII": ("ISO_IR 6", "MÜLLER^ÉVA".encode(), "ISO_IR 100"),
    "two names": ("ISO_IR 192", b"M\xdcLLER^\xc9VA=M\xdc", "ISO_IR 100"),
}
HOLDER = b"HOLDER^OF THE^PLACE^OF A NAME"


def with_bytes(path: Path, character_set: str, text: bytes, changes: dict[str, str]) -> Files:
    """Every output of a source whose name and description are these bytes."""
    header = example.header()
    header.SpecificCharacterSet = character_set.split("\\")
    header.ReferringPhysicianName = header.StudyDescription = header.InstitutionName = "plain"
    header.RequestAttributesSequence[0].RequestedProcedureDescription = HOLDER.decode()
    header.PatientName = HOLDER.decode()
    for keyword, value in changes.items():
        setattr(header, keyword, value)
    return small_set(path, header, lambda source: source.replace(HOLDER, text.ljust(len(HOLDER))))


@pytest.mark.parametrize("case", MISREAD)
def test_bytes_that_are_not_in_their_character_set_are_carried_on_unchanged(
    case: str, tmp_path: Path
) -> None:
    character_set, text, declared = MISREAD[case]
    files = with_bytes(tmp_path, character_set, text, {})
    for path in files.values():
        dataset = dcmread(path)
        assert dataset.SpecificCharacterSet == declared
        assert text in text_of(path, "PatientName", convert=False)
        assert text in text_of(path, "RequestedProcedureDescription", convert=False)
        assert "\ufffd".encode() not in path.read_bytes()


def test_they_are_carried_on_as_letters_where_other_text_needs_utf_8(tmp_path: Path) -> None:
    polish = {"ReferringPhysicianName": "Łukasiewicz^Zoë"}
    for path in with_bytes(tmp_path, "ISO_IR 192", b"M\xdcLLER^\xc9VA", polish).values():
        dataset = dcmread(path)
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        assert dataset.PatientName == "MÜLLER^ÉVA"
        assert dataset.ReferringPhysicianName == "Łukasiewicz^Zoë"


def test_they_are_told_by_name_and_without_the_text(tmp_path: Path) -> None:
    with_bytes(tmp_path, "ISO_IR 192", b"M\xdcLLER^\xc9VA", {})
    first, second = read_header(tmp_path / "source.dcm").warnings
    assert first.startswith("source.dcm: PatientName (0010,0010): expected text in ISO_IR 192")
    assert "RequestedProcedureDescription (0032,1060)" in second
    assert "LLER" not in first + second


def test_a_replacement_character_of_the_sender_is_left_alone(tmp_path: Path) -> None:
    text = "M\ufffdLLER^\ufffdVA".encode()
    for path in with_bytes(tmp_path, "ISO_IR 192", text, {}).values():
        assert dcmread(path).SpecificCharacterSet == "ISO_IR 192"
        assert text in text_of(path, "PatientName", convert=False)
    assert read_header(tmp_path / "source.dcm").warnings == ()
