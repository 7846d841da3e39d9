"""Files may be called, and patients named, in ways that are commands elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import dcmread

from dicomnode.cli import cli
from parts.hostile import WORDS
from parts.wrap import native

NAMES = [word for word in WORDS.values() if "\0" not in word and "/" not in word]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A clip without contrast and a file that is none under each name."""
    folder = tmp_path / "study"
    folder.mkdir()
    clip = native(tmp_path / "clip.dcm", np.zeros((3, 8, 8), np.uint8), photometric="MONOCHROME2")
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(clip.read_bytes() if number % 2 else b"no DICOM")
    return folder


def test_a_refusal_names_every_file_in_one_line_each(study: Path, tmp_path: Path) -> None:
    output = tmp_path / "result"
    done = CliRunner().invoke(cli, ["analyse", str(study), "-o", str(output)])
    assert done.exit_code == 3, done.output
    assert all(line.isprintable() for line in done.output.split("\n"))
    reasons = json.loads((output / "result.json").read_text())["reasons"]
    assert len(reasons) == len(NAMES)
    assert all(reason["text"].isprintable() for reason in reasons)
    report = dcmread(output / "sr.dcm")
    texts = [str(item.TextValue) for item in report.ContentSequence if "TextValue" in item]
    assert all(text.isprintable() for text in texts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.dcm", "result", "study"]
