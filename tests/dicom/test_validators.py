"""Judges that share no code with us: what they complain of is known, and why it is not ours."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pydicom.dataset import Dataset

from parts.accepted import ACCEPTED, PRIVATE_SCHEME, QUANTITY, accepted, unexpected
from parts.outputs import Files
from parts.pixelmed import PixelMed
from parts.programs import program
from parts.waiting import PATIENCE_S

Judge = Callable[[str, Dataset | Path], list[str]]

SEGS = ("seg", "lesion", "seg-full", "seg-bare")
REPORTS = ("sr", "sr-brief", "sr-bare", "refusal")
PICTURES = ("overlay", "keyframe", "report")
OTHERS = ("pdf", "parametric", "presentation")
REASONS: dict[str, set[str]] = {
    "parametric": {PRIVATE_SCHEME, QUANTITY},
    **{kind: set() for kind in (*PICTURES, "presentation")},
}
"""Why dciodvfy complains, where it is not the private scheme alone."""


@pytest.fixture(scope="module")
def pixelmed(tmp_path_factory: pytest.TempPathFactory) -> PixelMed:
    return PixelMed(tmp_path_factory.mktemp("pixelmed"))


@pytest.mark.parametrize("kind", [*SEGS, *REPORTS, *PICTURES, *OTHERS])
def test_dciodvfy_complains_of_nothing_new(written: Files, judged: Judge, kind: str) -> None:
    complaints = judged("dciodvfy", written[kind])
    assert unexpected("dciodvfy", complaints) == []
    assert accepted("dciodvfy", complaints) == REASONS.get(kind, {PRIVATE_SCHEME})


@pytest.mark.parametrize("kind", REPORTS)
def test_dsrdump_reads_every_report_without_a_warning(
    written: Files, judged: Judge, kind: str
) -> None:
    assert judged("dsrdump", written[kind]) == []


@pytest.mark.parametrize("kind", [*SEGS, *REPORTS, *PICTURES, *OTHERS])
def test_dcm2xml_makes_well_formed_xml(written: Files, kind: str) -> None:
    result = subprocess.run(
        [program("dcm2xml"), "--convert-to-utf8", str(written[kind])],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert result.stderr == b""
    elements = ET.fromstring(result.stdout).iter("element")
    names = [element.text for element in elements if element.get("name") == "PatientName"]
    assert names == ["Müller^Änne"]


@pytest.mark.parametrize("kind", REPORTS)
def test_pixelmed_finds_no_error_in_a_report(written: Files, pixelmed: PixelMed, kind: str) -> None:
    assert pixelmed.report_errors(written[kind]) == []


def test_pixelmed_finds_nothing_new_in_a_segmentation(written: Files, pixelmed: PixelMed) -> None:
    judge = "DicomInstanceValidator"
    errors = pixelmed.instance_errors(written["seg"])
    assert unexpected(judge, errors) == []
    assert accepted(judge, errors) == {entry.reason for entry in ACCEPTED if entry.judge == judge}
