import json
from dataclasses import replace
from types import ModuleType

import pytest
from pydantic import ValidationError

from dicomnode.errors import Reason
from dicomnode.outputs.record import record_of
from dicomnode.pipeline import Result
from dicomnode.record.schema import OutputPart, Record

OUTPUT = OutputPart(kind="seg", path="seg.dcm", sop_class_uid="1.2", sop_instance_uid="1.3")


@pytest.fixture
def analysed(example: ModuleType) -> Record:
    result = Result(exam=example.exam(), findings=example.findings(), timing_s={"decode": 0.5})
    return record_of(result, (), [OUTPUT])


def test_it_holds_every_key_that_the_plan_of_the_house_fixes(analysed: Record) -> None:
    written = json.loads(analysed.model_dump_json())
    fixed = {"status", "reasons", "exam", "lesion", "subregions", "diagnosis", "quality"}
    assert fixed | {"models", "outputs", "timing_s"} <= set(written)
    exam = {"study_uid", "clips", "frames", "duration_s", "spacing_mm", "reference"}
    assert exam <= set(written["exam"])
    assert set(written["exam"]["reference"]) == {"sop_instance_uid", "frame"}
    sizes = {"area_mm2", "long_axis_mm", "short_axis_mm", "enlargement_ratio"}
    assert sizes <= set(written["lesion"])
    region = written["subregions"][0]
    assert {"number", "name", "fraction", "area_mm2", "parameters"} <= set(region)
    assert set(region["parameters"]["PE"]) == {"median", "iqr", "unit"}
    assert {"malignant_probability", "decision", "coverage", "contributions"} <= set(
        written["diagnosis"]
    )
    assert {"name", "value", "limit", "passed"} <= set(written["quality"]["checks"][0])
    assert {"name", "version", "sha256"} <= set(written["models"][0])
    assert written["outputs"] == [OUTPUT.model_dump()]


def test_it_is_relative_to_tissue_as_well_as_absolute(
    example: ModuleType, analysed: Record
) -> None:
    found = example.findings()
    written = json.loads(analysed.model_dump_json())
    pairs = [(written["lesion"], found.whole)]
    pairs += zip(written["subregions"], found.subregions, strict=True)
    for part, region in pairs:
        for key, spreads in (("parameters", region.parameters), ("relative", region.relative)):
            assert list(part[key]) == list(spreads)
            for name, spread in spreads.items():
                assert part[key][name]["median"] == pytest.approx(spread.median, abs=1e-6)
                assert part[key][name]["iqr"] == pytest.approx([spread.q1, spread.q3], abs=1e-6)
                assert part[key][name]["unit"] == spread.unit
    assert written["lesion"]["relative"]["PE"]["unit"] == "1"
    assert written["lesion"]["relative"]["TTP"]["unit"] == "s"
    assert "QOF" not in written["lesion"]["relative"]
    assert list(written["tissue"]) == ["parameters"]
    assert set(written["tissue"]["parameters"]) == set(found.tissue.parameters)
    unreliable = written["subregions"][-1]
    assert (unreliable["parameters"], unreliable["relative"]) == ({}, {})


def test_every_region_has_an_arrival_and_a_baseline(example: ModuleType, analysed: Record) -> None:
    regions = json.loads(analysed.model_dump_json())["regions"]
    assert regions == [
        {
            "name": curve.name,
            "number": curve.number,
            "arrival_s": curve.arrival_s,
            "baseline": curve.baseline,
        }
        for curve in example.findings().curves
    ]
    assert {"lesion", "reference tissue"} <= {one["name"] for one in regions}
    bare = Result(exam=example.exam(), findings=example.bare_findings())
    for one in json.loads(record_of(bare, (), []).model_dump_json())["regions"]:
        assert (one["arrival_s"], one["baseline"]) == (None, None)


def test_it_says_what_was_fitted_and_how_far_the_result_repeats(
    example: ModuleType, analysed: Record
) -> None:
    written = json.loads(analysed.model_dump_json())
    assert written["stability"] == {"ari": 0.86, "replicates": 10}
    assert written["warnings"] == [example.WARNING]
    assert written["bolus"]["family"] == "lognormal"
    assert written["bolus"]["deviances"]["lognormal"] == 0
    assert written["bolus"]["recirculation"] == 0.18
    check = next(one for one in written["quality"]["checks"] if not one["passed"])
    assert not check["refuses"]
    assert check["words"] == "share of frames in plane is below its limit"
    bare = record_of(Result(exam=example.exam(), findings=example.bare_findings()), (), [])
    assert bare.stability is None
    assert bare.warnings == []


def test_it_is_read_back_equal(analysed: Record) -> None:
    assert Record.model_validate_json(analysed.model_dump_json()) == analysed


def test_what_could_not_be_measured_is_null_and_never_nan(example: ModuleType) -> None:
    found = example.findings()
    odd = replace(found.lesion, enlargement_ratio=None, area_mm2=float("nan"))
    result = Result(exam=example.exam(), findings=replace(found, lesion=odd))
    stability = replace(found.stability, ari=float("nan"))
    result = replace(result, findings=replace(result.findings, stability=stability))
    text = record_of(result, (), []).model_dump_json()
    assert json.loads(text)["stability"] == {"ari": None, "replicates": 10}
    lesion = json.loads(text, parse_constant=pytest.fail)["lesion"]
    assert lesion["area_mm2"] is None
    assert lesion["enlargement_ratio"] is None


def test_a_refusal_says_why_and_claims_nothing(example: ModuleType) -> None:
    reasons = (Reason("no-bolus", "expected a bolus, found none"),)
    refused = record_of(Result(exam=example.exam(), findings=None, reasons=reasons), reasons, [])
    assert refused.status == "refused"
    assert refused.reasons[0].code == "no-bolus"
    assert refused.diagnosis is None
    assert refused.exam is not None
    assert refused.exam.reference is None
    assert (refused.tissue, refused.bolus, refused.stability) == (None, None, None)
    assert (refused.regions, refused.warnings) == ([], [])


def test_it_carries_no_patient_data(example: ModuleType, analysed: Record) -> None:
    text = analysed.model_dump_json()
    header = example.header()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate"):
        assert str(header[keyword].value) not in text


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        Record.model_validate({"status": "refused", "reasons": [], "exam": None, "surprise": 1})
