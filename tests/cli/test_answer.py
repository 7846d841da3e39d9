"""What a person reads on a terminal of a record, and that the structured report says the same."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from dicomnode.cli.answer import SHOWN, notice_of, show_answer
from dicomnode.dicom import codes
from dicomnode.errors import Reason
from dicomnode.outputs.record import record_of
from dicomnode.outputs.write import write_outputs
from dicomnode.pipeline import Result
from dicomnode.record.schema import ParameterPart, Record, SubRegionPart
from dicomnode.science.findings import Findings
from parts.report_reader import Report, read_report


def recorded(example: ModuleType, found: Findings) -> Record:
    return record_of(Result(exam=example.exam(), findings=found), (), [])


def reported(example: ModuleType, found: Findings, directory: Path) -> Report:
    clip = directory / "clip.dcm"
    example.write_clip(clip, example.frames(example.findings()))
    write_outputs(example.exam(clip), found, example.context(), directory)
    return read_report(directory / "sr.dcm")


def shown(record: Record, width: int) -> str:
    out = Console(width=width)
    with out.capture() as captured:
        show_answer(out, record)
    return captured.get()


def spread(region: SubRegionPart, name: str) -> tuple[float | None, ...]:
    part: ParameterPart = region.parameters[name]
    return part.median, *part.iqr


def test_the_structured_report_tells_what_the_record_tells(
    example: ModuleType, tmp_path: Path
) -> None:
    told = recorded(example, example.findings())
    returned = reported(example, example.findings(), tmp_path)
    ours, theirs = returned.diagnosis, told.diagnosis
    assert (ours.decision, returned.grade) == (theirs.decision, told.quality.grade)
    assert (ours.decision, returned.grade) == ("malignant", "B")
    assert ours.malignant_probability == pytest.approx(theirs.malignant_probability)
    assert ours.interval == pytest.approx(theirs.interval)
    assert ours.prevalence == theirs.prevalence == 0.5
    assert returned.premises == told.answer.premises
    assert returned.because == tuple(map(codes.plain, told.answer.because))
    sizes = {"area_mm2", "long_axis_mm", "short_axis_mm", "enlargement_ratio"}
    known = told.lesion.model_dump(include=sizes)
    assert returned.lesion.model_dump(include=sizes) == pytest.approx(known, rel=1e-5)
    assert returned.stability == told.stability is not None
    assert list(returned.warnings) == told.warnings == [example.WARNING]
    assert [one.name for one in returned.subregions] == [one.name for one in told.subregions]
    for ours, theirs in zip(returned.subregions, told.subregions, strict=True):
        assert (ours.number, ours.fraction) == (theirs.number, pytest.approx(theirs.fraction))
        assert ours.parameters.keys() == theirs.parameters.keys() & set(SHOWN)
        for name in ours.parameters:
            assert spread(ours, name) == pytest.approx(spread(theirs, name), rel=1e-4)
    (check,) = returned.failed_checks
    assert check.startswith("motion: 0.87")
    assert "check not passed: motion: 0.87, limit 0.9" in shown(told, 80)
    assert "Research use only" in returned.notice
    assert "Research use only" in notice_of(told)


def test_what_is_not_known_is_not_told(example: ModuleType, tmp_path: Path) -> None:
    bare = example.bare_findings()
    found = replace(
        bare, diagnosis=replace(bare.diagnosis, reasons=(Reason("unlike", "like no exam before"),))
    )
    record, report = recorded(example, found), reported(example, found, tmp_path)
    for diagnosis in (record.diagnosis, report.diagnosis):
        assert (diagnosis.malignant_probability, diagnosis.interval) == (None, None)
        assert diagnosis.prevalence is None
    assert not record.answer.because
    assert not report.because
    assert not record.subregions
    assert not report.subregions
    text = shown(record, 80)
    assert text.startswith("Not judged: like no exam before\n")
    for word in ("malignan", "nan", "repeat", "warning"):
        assert word not in text


def test_how_far_the_result_can_be_relied_on_is_told(example: ModuleType) -> None:
    text = " ".join(shown(recorded(example, example.findings()), 80).split())
    assert "sub-regions repeat: 0.86 of 1 in 10 resamplings of the loop" in text
    assert f"warning: {example.WARNING}" in text


def test_the_answer_is_told_with_what_it_assumes_and_why(example: ModuleType) -> None:
    record = recorded(example, example.findings())
    first, second, third, fourth, fifth, *_ = shown(record, 120).splitlines()
    assert first == "Probability of malignancy 87 % (71 to 95 %); the model answers: malignant"
    assert second.startswith("  assumes half of the exams malignant, as of the simulated")
    assert third.endswith("towards malignant by 0.83")
    assert fourth == (
        "  rim brighter than core by 6.9 dB (average +2.0 dB): towards malignant by 0.61"
    )
    assert fifth.startswith("  peaks 8.0 s earlier than tissue (average ")


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_fits_the_terminal(example: ModuleType, width: int) -> None:
    answer = recorded(example, example.findings())
    lines = shown(answer, width).splitlines()
    rows = [line for line in lines if line.startswith(("1 ", "2 ", "4 ", "5 ", "  unreliable"))]
    assert len(rows) == len(answer.subregions)
    assert all("…" not in row and "e+" not in row for row in rows)
    assert ("(" in rows[0]) is (width == 140)
    assert "{a.u.}" not in "".join(lines)
