"""The SR: what was measured is in it, in place, coded, and valid; a refusal says why."""

import html
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import highdicom
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicomnode.dicom import codes
from dicomnode.dicom.context import study_context
from dicomnode.dicom.results import sr
from dicomnode.dicom.results.seg import segmentation
from dicomnode.errors import OutputError, Reason
from dicomnode.science.findings import Diagnosis
from dicomnode.science.kinetics import PARAMETERS
from parts.accepted import unexpected
from parts.programs import program

MODIFIERS = ("121401", "370129005")
"""Derivation and Measurement Method."""

Judge = Callable[[str, Dataset | Path], list[str]]


def report(example: ModuleType, bare: bool = False) -> tuple[Dataset, Dataset]:
    findings = example.bare_findings() if bare else example.findings()
    exam, context = example.exam(), example.context()
    seg = segmentation(exam, findings, context)
    return sr.report(exam, findings, context, seg), seg


@pytest.fixture(scope="module")
def made(example: ModuleType) -> tuple[Dataset, Dataset]:
    return report(example)


def items(dataset: Dataset) -> list[Dataset]:
    found = [dataset]
    for item in dataset.get("ContentSequence", ()):
        found += items(item)
    return found


def texts(dataset: Dataset) -> str:
    return "\n".join(item.TextValue for item in items(dataset) if "TextValue" in item)


def said(dataset: Dataset, name: Code) -> list[str]:
    """Remarks of one kind."""
    named = (item for item in items(dataset) if "TextValue" in item)
    return [
        item.TextValue for item in named if item.ConceptNameCodeSequence[0].CodeValue == name.value
    ]


def numbers(dataset: Dataset, code: str) -> list[float]:
    return [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in items(dataset)
        if item.get("ValueType") == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == code
    ]


def test_highdicom_reads_a_group_per_region(
    made: tuple[Dataset, Dataset], example: ModuleType, tmp_path: Path
) -> None:
    dataset, seg = made
    dataset.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    content = highdicom.sr.srread(tmp_path / "sr.dcm").content
    groups = content.get_planar_roi_measurement_groups()
    assert len(groups) == 7  # lesion, four sub-regions, what is unreliable, reference tissue
    context = example.context()
    whole = segmentation(example.exam(), example.findings(), context, "lesion")
    tracked = {part.TrackingUID for part in (*whole.SegmentSequence, *seg.SegmentSequence)}
    (tissue,) = [group for group in groups if group.tracking_uid not in tracked]
    assert tissue.finding_type == codes.REFERENCE_REGION
    uid = whole.SegmentSequence[0].TrackingUID
    (lesion,) = content.get_planar_roi_measurement_groups(tracking_uid=uid)
    assert lesion.finding_type == codes.LESION
    assert lesion.finding_sites[0].laterality == codes.LATERALITY["L"]


def test_sub_regions_are_measured_on_their_seg_frame(
    made: tuple[Dataset, Dataset], example: ModuleType
) -> None:
    dataset, seg = made
    frames = [
        int(item.ReferencedSOPSequence[0].ReferencedFrameNumber)
        for item in items(dataset)
        if item.get("ValueType") == "IMAGE"
        and item.RelationshipType == "CONTAINS"
        and item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == seg.SOPInstanceUID
    ]
    assert frames == [1, 2, 3, 4, 5]
    found = example.findings()
    regions = [found.whole, *found.subregions, found.tissue]
    medians = [region.parameters["TTP"].median for region in regions if region.parameters]
    assert np.allclose(numbers(dataset, "113069")[::3], medians, rtol=1e-5)


def test_the_center_of_a_sub_region_lies_in_its_segment(made: tuple[Dataset, Dataset]) -> None:
    dataset, seg = made
    masks = seg.pixel_array.astype(bool)
    centers = [
        item
        for item in items(dataset)
        if item.get("ValueType") == "SCOORD"
        and item.ConceptNameCodeSequence[0].CodeValue == codes.CENTER.value
    ]
    frames = []
    for center in centers:
        (referenced,) = center.ContentSequence[0].ReferencedSOPSequence
        assert referenced.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        column, row = (int(value) for value in center.GraphicData)
        frames.append(int(referenced.ReferencedFrameNumber))
        assert masks[frames[-1] - 1, row, column]
    assert frames == [1, 2, 3, 4, 5]


def measured(dataset: Dataset, group: str) -> dict[tuple[str, ...], float]:
    """Numbers of a group by name and modifiers, with their unit last."""
    found = {}
    for container in items(dataset):
        names = [part for part in container.get("ContentSequence", ()) if "TextValue" in part]
        if not any(part.TextValue == group for part in names):
            continue
        for item in container.ContentSequence:
            if item.ValueType == "NUM":
                modifiers = [
                    m.ConceptCodeSequence[0]
                    for m in item.get("ContentSequence", ())
                    if m.ConceptNameCodeSequence[0].CodeValue in MODIFIERS
                ]
                value = item.MeasuredValueSequence[0]
                unit = value.MeasurementUnitsCodeSequence[0].CodeValue
                words = [item.ConceptNameCodeSequence[0], *modifiers]
                key = (*(word.CodeValue for word in words), unit)
                assert key not in found, f"{key} is in the group twice"
                found[key] = float(value.NumericValue)
    return found


def test_relative_values_cannot_be_taken_for_absolute_ones(
    made: tuple[Dataset, Dataset], example: ModuleType
) -> None:
    dataset, _ = made
    found = example.findings()
    groups = {f"Sub-region {r.number}": r for r in found.subregions if r.parameters}
    for name, region in {**groups, "Lesion": found.whole}.items():
        numbers_ = measured(dataset, name)
        median = codes.MEDIAN.value
        expected = {
            ("PE", median, "{a.u.}"): region.parameters["PE"],
            ("113069", median, "s"): region.parameters["TTP"],
            ("REL-PE", "TISSUERATIO", median, "1"): region.relative["PE"],
            ("REL-TTP", "TISSUEDIFF", median, "s"): region.relative["TTP"],
        }
        for key, spread in expected.items():
            assert numbers_[key] == pytest.approx(spread.median, rel=1e-5), (name, key)
        related = {key for key in numbers_ if key[0].startswith("REL-")}
        assert len(related) == len(region.relative)
        assert all({"TISSUERATIO", "TISSUEDIFF"} & set(key) for key in related)
    assert not any(key[0].startswith("REL-") for key in measured(dataset, "Reference tissue"))


def test_every_relation_of_the_table_has_a_code_that_fits_dicom() -> None:
    for parameter in PARAMETERS:
        if parameter.relation == "none":
            continue
        code, method = codes.relative_parameter(parameter.name)
        assert code.value != parameter.code[0]
        assert len(code.value) <= 16
        assert parameter.code[2] in code.meaning
        assert code.meaning.endswith("reference tissue")
        assert len(code.meaning) <= 64
        assert (method == codes.RATIO_TO_TISSUE) is (parameter.relation == "ratio")


def test_every_region_says_when_contrast_arrives_and_from_what_level(
    made: tuple[Dataset, Dataset], example: ModuleType
) -> None:
    dataset, _ = made
    for curve in example.findings().curves:
        group = curve.name.capitalize() if curve.number is None else f"Sub-region {curve.number}"
        numbers_ = measured(dataset, group)
        assert numbers_["126371", "MEANCURVE", "s"] == curve.arrival_s
        assert numbers_["BASELINE", "MEANCURVE", "{a.u.}"] == curve.baseline


def test_reference_tissue_is_a_group_of_its_own(
    made: tuple[Dataset, Dataset], example: ModuleType
) -> None:
    dataset, _ = made
    (finding,) = [
        item.ConceptCodeSequence[0]
        for item in items(dataset)
        if item.get("ValueType") == "CODE"
        and item.ConceptCodeSequence[0].CodeValue == codes.REFERENCE_REGION.value
    ]
    assert finding.CodingSchemeDesignator == "NCIt"
    tissue = measured(dataset, "Reference tissue")
    median = example.findings().tissue.parameters["mTT"].median
    assert tissue["113052", codes.MEDIAN.value, "s"] == pytest.approx(median, rel=1e-5)
    bare, _ = report(example, bare=True)
    assert "Reference tissue" not in texts(bare)


def test_reference_tissue_in_parts_says_so(example: ModuleType) -> None:
    found, exam, context = example.findings(), example.exam(), example.context()
    mask = found.tissue_mask.copy()
    mask[5:9, 20:30] = True
    found = replace(found, tissue_mask=mask)
    dataset = sr.report(exam, found, context, segmentation(exam, found, context))
    assert "Outlined is the largest of the 2 parts that were measured" in texts(dataset)


def test_the_result_says_how_far_it_can_be_relied_on(
    made: tuple[Dataset, Dataset], example: ModuleType
) -> None:
    dataset, _ = made
    found = measured(dataset, "Lesion")
    assert found["STABILITY", "TIMEBLOCKS", codes.MEDIAN.value, "1"] == 0.86
    assert found["REPLICATES", "TIMEBLOCKS", "1"] == 10
    assert found["RECIRCULATION", "%"] == pytest.approx(18)
    assert said(dataset, codes.WARNING) == [example.WARNING]
    assert "Bolus curve model: lognormal; deviance of the others above it: gamma" in texts(dataset)
    models = [
        item.ConceptCodeSequence[0].CodeValue
        for item in items(dataset)
        if item.get("ValueType") == "CODE"
        and item.ConceptNameCodeSequence[0].CodeValue == codes.CURVE_MODEL.value
    ]
    assert models == ["LOGNORMAL"]
    bare, _ = report(example, bare=True)
    assert numbers(bare, codes.STABILITY.value) == []
    assert said(bare, codes.WARNING) == []


def test_the_outline_lies_on_the_contrast_pane(
    made: tuple[Dataset, Dataset], example: ModuleType
) -> None:
    region, tissue = [item for item in items(made[0]) if item.get("GraphicType") == "POLYLINE"]
    points = np.array(region.GraphicData).reshape(-1, 2)
    outline = example.findings().lesion.outlines[0]
    pane = example.CONTRAST
    assert np.array_equal(points[0], points[-1])
    assert np.allclose(points[: len(outline), 0], outline[:, 1] + pane.column + 0.5, atol=1e-3)
    assert np.allclose(points[: len(outline), 1], outline[:, 0] + pane.row + 0.5, atol=1e-3)
    rows, columns = np.nonzero(example.findings().tissue_mask)
    points = np.array(tissue.GraphicData).reshape(-1, 2) - (pane.column, pane.row)
    assert np.allclose(points.min(axis=0), (columns.min(), rows.min()), atol=0.51)
    assert np.allclose(points.max(axis=0), (columns.max() + 1, rows.max() + 1), atol=0.51)


def test_the_answer_says_how_sure_it_is_and_why(
    made: tuple[Dataset, Dataset], example: ModuleType
) -> None:
    dataset, _ = made
    assert set(numbers(dataset, codes.PROBABILITY_OF_CANCER.value)) == {87.0}
    assert set(numbers(dataset, codes.PROBABILITY_LOWER.value)) == {71.0}
    assert numbers(dataset, "fraction_5") == [0.21]
    assert numbers(dataset, "LO-fraction_5") == [0.83]
    assert "Research use only" in texts(dataset)
    assert "was trained on: simulated exams" in texts(dataset)
    assert "Dynamic range taken from: vendor" in texts(dataset)
    for model in example.models():
        assert model.sha256 in texts(dataset)
    (figure,) = example.models()[2].figures
    words = f"Model lesion-classifier 0.1.0 (classify), not clinical accuracy: {figure}"
    assert words in said(dataset, codes.COMMENT)
    assert (dataset.VerificationFlag, dataset.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


@pytest.mark.parametrize("name", [codes.PROBABILITY_OF_CANCER.value, "fraction_5", "LO-fraction_5"])
def test_a_number_of_the_answer_names_the_classifier_it_is_from(
    made: tuple[Dataset, Dataset], name: str
) -> None:
    (number,) = [
        item
        for item in items(made[0])
        if item.get("ValueType") == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == name
    ]
    assert "lesion-classifier" in texts(number)


def test_figures_of_a_sites_own_cases_are_not_said_to_be_simulated(example: ModuleType) -> None:
    *others, classifier = example.models()
    own = replace(classifier, figures=("AUC 0.900. Obtained on: 200 cases of Köln.",))
    findings = replace(example.findings(), models=(*others, own))
    exam, context = example.exam(), example.context()
    dataset = sr.report(exam, findings, context, segmentation(exam, findings, context))
    words = (
        "Model lesion-classifier 0.1.0 (classify), not clinically validated: AUC 0.900. "
        "Obtained on: 200 cases of Koln."
    )
    assert words in said(dataset, codes.COMMENT)


def test_an_exam_without_an_answer_names_its_classifier_too(example: ModuleType) -> None:
    dataset, _ = report(example, bare=True)
    (classifier,) = [model for model in example.models() if model.task == "classify"]
    words = (
        f"Model {classifier.name} {classifier.version} (classify): sha256 {classifier.sha256}, "
        f"of its manifest {classifier.manifest_sha256}"
    )
    assert words in said(dataset, codes.COMMENT)


def test_the_answer_is_said_of_the_exam_and_of_the_lesion(made: tuple[Dataset, Dataset]) -> None:
    answers = [
        item.ConceptCodeSequence[0].CodeMeaning
        for item in items(made[0])
        if item.get("ValueType") == "CODE"
        and item.ConceptNameCodeSequence[0].CodeValue == codes.DECISION_NAME.value
    ]
    assert answers == ["Malignant", "Malignant"]


def test_every_container_is_separate(example: ModuleType) -> None:
    """Continuous text is printed without names: a value of what, a reader could not tell."""
    context = study_context([example.header()], recipe="1", when=example.context().when)
    refused = sr.refusal(context, [Reason("no-bolus", "no bolus")])
    for dataset in (report(example)[0], report(example, bare=True)[0], refused):
        containers = [item for item in items(dataset) if item.get("ValueType") == "CONTAINER"]
        assert {item.ContinuityOfContent for item in containers} == {"SEPARATE"}
        assert containers[0] is dataset


def test_a_reader_prints_names_beside_numbers(
    made: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    made[0].save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    command = [program("dsr2html"), str(tmp_path / "sr.dcm")]
    printed = subprocess.run(command, capture_output=True, check=True).stdout.decode("latin-1")
    text = " ".join(html.unescape(re.sub("<[^>]+>", " ", printed)).split())
    for named in (
        "Probability of cancer: 87.0 %",
        "Share of malignant exams that the probability assumes: 50.0 %",
        "Answer in words: Probability of malignancy 87 % (71 to 95 %); the model answers: malig",
    ):
        assert named in text


def test_the_answer_is_said_in_words_with_what_it_assumes(made: tuple[Dataset, Dataset]) -> None:
    first, second = said(made[0], codes.ANSWER)
    assert first == "Probability of malignancy 87 % (71 to 95 %); the model answers: malignant"
    assert second == "assumes half of the exams malignant, as of the simulated exams learnt from"
    assert numbers(made[0], codes.PREVALENCE.value) == [50.0]


def test_what_moved_the_probability_is_said_by_its_sign(made: tuple[Dataset, Dataset]) -> None:
    lines = said(made[0], codes.CONTRIBUTION)
    assert "peaks 8.0 s earlier than tissue (average -3.1 s): towards malignant by 0.34" in lines
    names = [
        item.ConceptNameCodeSequence[0].CodeMeaning
        for item in items(made[0])
        if item.get("ValueType") == "NUM"
    ]
    assert "time to peak minus tissue" in names
    assert not any("later" in name or "earlier" in name for name in names)


def test_where_nothing_is_judged_the_report_says_so_and_why(example: ModuleType) -> None:
    reason = Reason("uncertain-outline", "the outline is uncertain: doubt 0.71 of 1")
    found = replace(example.findings(), diagnosis=Diagnosis.withheld(reason))
    exam, context = example.exam(), example.context()
    dataset = sr.report(exam, found, context, segmentation(exam, found, context))
    assert said(dataset, codes.ANSWER)[0] == f"Not judged: {reason.text}"
    assert said(dataset, codes.REASON) == [reason.text]
    assert said(dataset, codes.CONTRIBUTION) == []
    assert numbers(dataset, codes.PREVALENCE.value) == []


def test_without_a_bmode_pane_no_area_of_it_is_named(example: ModuleType) -> None:
    words = str(report(example, bare=True)[0])
    assert "B-mode" not in words


def test_every_referenced_instance_is_evidence(made: tuple[Dataset, Dataset]) -> None:
    dataset, _ = made
    referenced = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for item in items(dataset)
        if item.get("ValueType") == "IMAGE"
    }
    evidence = {
        instance.ReferencedSOPInstanceUID
        for study in dataset.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert referenced <= evidence


def test_an_unanswered_exam_has_no_number_for_it(example: ModuleType) -> None:
    dataset, _ = report(example, bare=True)
    assert numbers(dataset, codes.PROBABILITY_OF_CANCER.value) == []
    assert numbers(dataset, codes.ENLARGEMENT.value) == []


def test_a_refusal_says_why_without_an_exam(example: ModuleType, judged: Judge) -> None:
    context = study_context([example.header()], recipe="1", when=example.context().when)
    dataset = sr.refusal(context, [Reason("no-bolus", "Expected ≥ 3 dB, found 1.2 dB — no bolus")])
    assert "no-bolus: Expected >= 3 dB, found 1.2 dB - no bolus" in texts(dataset)
    assert str(dataset.PatientName) == "Müller^Änne"
    assert unexpected("dciodvfy", judged("dciodvfy", dataset)) == []
    assert judged("dsrdump", dataset) == []
    with pytest.raises(OutputError, match="at least one reason"):
        sr.refusal(context, [])


@pytest.mark.parametrize("bare", [False, True])
def test_dciodvfy_and_dsrdump_find_nothing(example: ModuleType, judged: Judge, bare: bool) -> None:
    dataset, _ = report(example, bare)
    assert unexpected("dciodvfy", judged("dciodvfy", dataset)) == []
    assert judged("dsrdump", dataset) == []


def test_a_seg_with_too_few_segments_is_refused(example: ModuleType) -> None:
    exam, context = example.exam(), example.context()
    seg = segmentation(exam, example.bare_findings(), context)
    with pytest.raises(OutputError, match="SEG with 6 segments, got 1"):
        sr.report(exam, example.findings(), context, seg)


def test_values_that_are_not_finite_are_left_out(example: ModuleType) -> None:
    findings = example.findings()
    spread = replace(findings.subregions[0].parameters["PE"], median=float("nan"))
    region = replace(findings.subregions[0], parameters={"PE": spread})
    findings = replace(findings, subregions=(region, *findings.subregions[1:]))
    exam, context = example.exam(), example.context()
    dataset = sr.report(exam, findings, context, segmentation(exam, findings, context))
    assert len(numbers(dataset, "PE")) == 3 * 6 - 1


def test_a_private_code_means_the_same_in_every_report(example: ModuleType) -> None:
    """Numbers of an exam stand in values and comments, never in the meaning of a code."""
    found = example.findings()
    checks = tuple(
        replace(check, message=f"{check.message} 12.3") for check in found.quality.checks
    )
    other = replace(found, quality=replace(found.quality, checks=checks))
    exam, context = example.exam(), example.context()
    meanings: dict[str, set[str]] = {}
    for each in (found, other):
        seg = segmentation(exam, each, context)
        for item in items(sr.report(exam, each, context, seg)):
            for code in item.get("ConceptNameCodeSequence", ()):
                if code.CodingSchemeDesignator == codes.PRIVATE_SCHEME:
                    meanings.setdefault(code.CodeValue.casefold(), set()).add(code.CodeMeaning)
    assert {value: said for value, said in meanings.items() if len(said) > 1} == {}
    assert sum("Quality check: " in said for (said,) in meanings.values()) == len(checks)


def test_a_feature_carries_its_own_unit(example: ModuleType) -> None:
    found = example.findings()
    known = replace(found.diagnosis.contributions[0], feature="ring_ttp", meaning="ring later")
    found = replace(found, diagnosis=replace(found.diagnosis, contributions=(known,)))
    exam, context = example.exam(), example.context()
    dataset = sr.report(exam, found, context, segmentation(exam, found, context))
    values = [
        item.MeasuredValueSequence[0]
        for item in items(dataset)
        if item.get("ValueType") == "NUM"
        and "ring later" in item.ConceptNameCodeSequence[0].CodeMeaning
    ]
    units = [value.MeasurementUnitsCodeSequence[0].CodeValue for value in values]
    assert units == ["s", "1"]  # the value, and what it adds to the log-odds
