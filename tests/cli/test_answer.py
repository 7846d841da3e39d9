"""What a person reads on a terminal, from either of its two sources."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from pydicom import dcmread
from rich.console import Console

from dicomnode.cli.answer import SHOWN, Answer, answer_of_document, show_answer
from dicomnode.cli.returned import answer_of_report
from dicomnode.dicom import codes
from dicomnode.errors import InputError, Reason
from dicomnode.outputs.document import document
from dicomnode.outputs.schema import ParameterPart, SubRegionPart
from dicomnode.outputs.write import write_outputs
from dicomnode.pipeline import Result
from dicomnode.science.findings import Findings


def both_ways(example: ModuleType, found: Findings, directory: Path) -> tuple[Answer, Answer]:
    clip = directory / "clip.dcm"
    example.write_clip(clip, example.frames(example.findings()))
    exam = example.exam(clip)
    write_outputs(exam, found, example.context(), directory)
    written = document(Result(exam=exam, findings=found), (), [])
    return answer_of_document(written), answer_of_report(directory / "sr.dcm")


def shown(answer: Answer, width: int) -> str:
    out = Console(width=width)
    with out.capture() as captured:
        show_answer(out, answer)
    return captured.get()


def spread(region: SubRegionPart, name: str) -> tuple[float | None, ...]:
    part: ParameterPart = region.parameters[name]
    return part.median, *part.iqr


def test_a_report_of_another_version_is_told_by_name(example: ModuleType, tmp_path: Path) -> None:
    both_ways(example, example.findings(), tmp_path)
    report = dcmread(tmp_path / "sr.dcm")
    del report.ContentSequence[-1]
    report.save_as(tmp_path / "sr.dcm")
    with pytest.raises(InputError, match="expected a report with Qualitative Evaluations"):
        answer_of_report(tmp_path / "sr.dcm")


def test_the_structured_report_tells_what_the_document_tells(
    example: ModuleType, tmp_path: Path
) -> None:
    told, returned = both_ways(example, example.findings(), tmp_path)
    ours, theirs = returned.diagnosis, told.diagnosis
    assert (ours.decision, returned.grade) == (theirs.decision, told.grade) == ("malignant", "B")
    assert ours.malignant_probability == pytest.approx(theirs.malignant_probability)
    assert ours.interval == pytest.approx(theirs.interval)
    assert ours.prevalence == theirs.prevalence == 0.5
    assert returned.premises == told.premises
    assert returned.because == tuple(map(codes.plain, told.because))
    sizes = {"area_mm2", "long_axis_mm", "short_axis_mm", "enlargement_ratio"}
    known = told.lesion.model_dump(include=sizes)
    assert returned.lesion.model_dump(include=sizes) == pytest.approx(known, rel=1e-5)
    assert returned.stability == told.stability is not None
    assert returned.warnings == told.warnings == (example.WARNING,)
    assert [one.name for one in returned.subregions] == [one.name for one in told.subregions]
    for ours, theirs in zip(returned.subregions, told.subregions, strict=True):
        assert (ours.number, ours.fraction) == (theirs.number, pytest.approx(theirs.fraction))
        assert ours.parameters.keys() == theirs.parameters.keys() & set(SHOWN)
        for name in ours.parameters:
            assert spread(ours, name) == pytest.approx(spread(theirs, name), rel=1e-4)
    (check,) = returned.failed_checks
    assert check.startswith("motion: 0.87")
    assert told.failed_checks == ("motion: 0.87, limit 0.9",)
    assert "Research use only" in returned.notice
    assert "Research use only" in told.notice


def test_what_is_not_known_is_not_told(example: ModuleType, tmp_path: Path) -> None:
    bare = example.bare_findings()
    found = replace(
        bare, diagnosis=replace(bare.diagnosis, reasons=(Reason("unlike", "like no exam before"),))
    )
    for answer in both_ways(example, found, tmp_path):
        found_ = answer.diagnosis
        assert (found_.malignant_probability, found_.interval, found_.prevalence) == (None,) * 3
        assert not answer.because
        assert not answer.subregions
        text = shown(answer, 80)
        assert text.startswith("Not judged: like no exam before\n")
        assert "malignan" not in text
        assert "nan" not in text
        assert "repeat" not in text
        assert "warning" not in text


def test_how_far_the_result_can_be_relied_on_is_told(example: ModuleType, tmp_path: Path) -> None:
    for answer in both_ways(example, example.findings(), tmp_path):
        text = " ".join(shown(answer, 80).split())
        assert "sub-regions repeat: 0.86 of 1 in 10 resamplings of the loop" in text
        assert f"warning: {example.WARNING}" in text


def test_the_answer_is_told_with_what_it_assumes_and_why(
    example: ModuleType, tmp_path: Path
) -> None:
    for answer in both_ways(example, example.findings(), tmp_path):
        first, second, third, fourth, fifth, *_ = shown(answer, 120).splitlines()
        assert first == "Probability of malignancy 87 % (71 to 95 %); the model answers: malignant"
        assert second.startswith("  assumes half of the exams malignant, as of the simulated")
        assert third.endswith("towards malignant by 0.83")
        assert fourth == (
            "  rim brighter than core by 6.9 dB (average +2.0 dB): towards malignant by 0.61"
        )
        assert fifth.startswith("  peaks 8.0 s earlier than tissue (average ")


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_fits_the_terminal(example: ModuleType, tmp_path: Path, width: int) -> None:
    _, answer = both_ways(example, example.findings(), tmp_path)
    lines = shown(answer, width).splitlines()
    rows = [line for line in lines if line.startswith(("1 ", "2 ", "4 ", "5 ", "  unreliable"))]
    assert len(rows) == len(answer.subregions)
    assert all("…" not in row and "e+" not in row for row in rows)
    assert ("(" in rows[0]) is (width == 140)
    assert "{a.u.}" not in "".join(lines)
