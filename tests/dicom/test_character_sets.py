"""Names in any script come back equal from every output, in two readers."""

import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from parts import example
from parts.outputs import small_set
from parts.programs import program

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
        timeout=60,
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
