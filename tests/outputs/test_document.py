import json
from dataclasses import replace
from types import ModuleType

import pytest
from pydantic import ValidationError

from dicomnode.errors import Reason
from dicomnode.outputs.document import Document, OutputPart, document
from dicomnode.pipeline import Result

OUTPUT = OutputPart(kind="seg", path="seg.dcm", sop_class_uid="1.2", sop_instance_uid="1.3")


@pytest.fixture
def analysed(example: ModuleType) -> Document:
    result = Result(exam=example.exam(), findings=example.findings(), timing_s={"decode": 0.5})
    return document(result, (), [OUTPUT])


def test_it_holds_every_key_that_the_plan_of_the_house_fixes(analysed: Document) -> None:
    written = json.loads(analysed.model_dump_json())
    fixed = {"status", "reasons", "exam", "lesion", "subregions", "diagnosis", "quality"}
    assert fixed | {"models", "outputs", "timing_s"} <= set(written)
    exam = {"study_uid", "clips", "frames", "duration_s", "spacing_mm", "reference"}
    assert exam <= set(written["exam"])
    assert set(written["exam"]["reference"]) == {"sop_instance_uid", "frame"}
    assert set(written["lesion"]) == {
        "area_mm2",
        "long_axis_mm",
        "short_axis_mm",
        "enlargement_ratio",
    }
    region = written["subregions"][0]
    assert set(region) == {"number", "name", "fraction", "area_mm2", "parameters"}
    assert set(region["parameters"]["PE"]) == {"median", "iqr", "unit"}
    assert {"malignant_probability", "decision", "coverage", "contributions"} <= set(
        written["diagnosis"]
    )
    assert {"name", "value", "limit", "passed"} <= set(written["quality"]["checks"][0])
    assert {"name", "version", "sha256"} <= set(written["models"][0])
    assert written["outputs"] == [OUTPUT.model_dump()]


def test_it_is_read_back_equal(analysed: Document) -> None:
    assert Document.model_validate_json(analysed.model_dump_json()) == analysed


def test_what_could_not_be_measured_is_null_and_never_nan(example: ModuleType) -> None:
    found = example.findings()
    odd = replace(found.lesion, enlargement_ratio=None, area_mm2=float("nan"))
    result = Result(exam=example.exam(), findings=replace(found, lesion=odd))
    text = document(result, (), []).model_dump_json()
    lesion = json.loads(text, parse_constant=pytest.fail)["lesion"]
    assert lesion["area_mm2"] is None
    assert lesion["enlargement_ratio"] is None


def test_a_refusal_says_why_and_claims_nothing(example: ModuleType) -> None:
    reasons = (Reason("no-bolus", "expected a bolus, found none"),)
    refused = document(Result(exam=example.exam(), findings=None, reasons=reasons), reasons, [])
    assert refused.status == "refused"
    assert refused.reasons[0].code == "no-bolus"
    assert refused.diagnosis is None
    assert refused.exam is not None
    assert refused.exam.reference is None


def test_it_carries_no_patient_data(example: ModuleType, analysed: Document) -> None:
    text = analysed.model_dump_json()
    header = example.header()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate"):
        assert str(header[keyword].value) not in text


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        Document.model_validate({"status": "refused", "reasons": [], "exam": None, "surprise": 1})
