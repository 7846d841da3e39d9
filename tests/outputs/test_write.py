from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from dicomnode.dicom.codes import PRIVATE_SCHEME
from dicomnode.dicom.results.sr import refusal
from dicomnode.errors import Reason
from dicomnode.outputs.options import EVERYTHING
from dicomnode.outputs.write import write_maps, write_outputs, write_refusal
from dicomnode.report.page import ReportHeader, page_as_pdf
from parts.accepted import unexpected

DICOM_KINDS = (
    "seg", "lesion", "keyframe", "report", "pdf", "parametric", "presentation", "overlay", "sr",
)  # fmt: skip
"""In the order in which they are written."""


@pytest.fixture
def written(example: ModuleType, tmp_path: Path) -> Path:
    found = example.findings()
    clip = tmp_path / "clip.dcm"
    example.write_clip(clip, example.frames(found))
    outputs = write_outputs(
        example.exam(clip),
        found,
        example.context(),
        tmp_path,
        EVERYTHING,
    )
    kinds = [output.kind for output in outputs]
    assert kinds == [*DICOM_KINDS, "page"]
    for output in outputs[:-1]:
        dataset = dcmread(output.path, stop_before_pixels=True)
        assert dataset.SOPClassUID == output.sop_class_uid
        assert dataset.SOPInstanceUID == output.sop_instance_uid
        assert dataset.file_meta.TransferSyntaxUID == output.transfer_syntax_uid
    return tmp_path


def evidence(studies: Sequence[Dataset]) -> set[str]:
    return {
        str(instance.ReferencedSOPInstanceUID)
        for study in studies
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }


def test_the_report_is_the_root_of_everything(written: Path) -> None:
    """IHE AI Results: whoever has the SR finds every other result and every source."""
    report = dcmread(written / "sr.dcm")
    referenced = evidence(report.CurrentRequestedProcedureEvidenceSequence)
    uids = {
        kind: str(dcmread(written / f"{kind}.dcm", stop_before_pixels=True).SOPInstanceUID)
        for kind in ("clip", *DICOM_KINDS)
        if kind != "sr"
    }
    assert referenced == set(uids.values())


def test_the_library_tells_sources_from_results(written: Path) -> None:
    (library,) = (
        item
        for item in dcmread(written / "sr.dcm").ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Image Library"
    )
    named = {
        str(image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID): str(
            image.ConceptNameCodeSequence[0].CodeMeaning
        )
        for group in library.ContentSequence
        for image in group.ContentSequence
        if image.ValueType == "IMAGE"
    }
    assert named.pop(str(dcmread(written / "clip.dcm").SOPInstanceUID)) == "Source"
    assert list(named.values()) == ["Best illustration of finding"] * 3


def test_the_page_is_a_valid_pdf_too(
    example: ModuleType, written: Path, judged: Callable[[str, Path], list[str]]
) -> None:
    dataset = dcmread(written / "pdf.dcm")
    document = dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength]
    assert document.startswith(b"%PDF-")
    assert document.rstrip().endswith(b"%%EOF")
    assert str(dcmread(written / "clip.dcm").PatientName).encode() not in document
    assert unexpected("dciodvfy", judged("dciodvfy", written / "pdf.dcm")) == []
    header = ReportHeader(facts="left breast", software="dicomnode")
    once, again = (page_as_pdf(example.findings(), header) for _ in range(2))
    assert once == again


def test_who_uses_a_private_code_declares_its_scheme(written: Path) -> None:
    for kind in DICOM_KINDS:
        dataset = dcmread(written / f"{kind}.dcm", stop_before_pixels=True)
        used = any(
            element.keyword == "CodingSchemeDesignator" and element.value == PRIVATE_SCHEME
            for element in dataset.iterall()
        )
        declared = dataset.get("CodingSchemeIdentificationSequence", [])
        assert used <= (PRIVATE_SCHEME in [item.CodingSchemeDesignator for item in declared]), kind


def test_a_report_names_the_one_it_takes_the_place_of(
    example: ModuleType, written: Path, judged: Callable[[str, Dataset], list[str]]
) -> None:
    older = dcmread(written / "sr.dcm")
    context = replace(example.context(), replaces=older, identity="another")
    newer = refusal(context, (Reason("no-bolus", "expected a bolus, found none"),))
    assert evidence(newer.PredecessorDocumentsSequence) == {str(older.SOPInstanceUID)}
    assert newer.SOPInstanceUID != older.SOPInstanceUID
    assert judged("dsrdump", newer) == []


def test_the_page_is_the_same_picture_as_the_secondary_capture(written: Path) -> None:
    page = np.asarray(Image.open(written / "report.png"))
    np.testing.assert_array_equal(page, dcmread(written / "report.dcm").pixel_array)


def test_maps_lie_in_the_full_image_with_the_names_of_the_plan(
    example: ModuleType, tmp_path: Path
) -> None:
    found, exam = example.findings(), example.exam()
    with np.load(write_maps(exam, found, tmp_path).path) as maps:
        assert {"lesion", "subregion", "PE", "TTP", "mTT", "quality"} <= set(maps)
        assert all(maps[name].dtype == np.float32 for name in maps)
        shape = (exam.header.Rows, exam.header.Columns)
        assert all(maps[name].shape == shape for name in maps)
        inside = maps["subregion"][exam.contrast.slices]
        np.testing.assert_array_equal(inside, found.subregion_map)
        assert maps["subregion"].sum() == found.subregion_map.sum()
        assert np.isfinite(maps["PE"]).sum() == np.isfinite(found.maps["PE"]).sum()
        agreement = maps["agreement"][exam.contrast.slices]
        np.testing.assert_array_equal(agreement, found.stability.agreement)
        np.testing.assert_array_equal(np.isfinite(agreement), found.lesion_mask)
    undivided = write_maps(exam, replace(found, stability=None), tmp_path)
    with np.load(undivided.path) as maps:
        assert "agreement" not in maps


def test_a_refusal_is_a_report_of_its_own_kind(example: ModuleType, tmp_path: Path) -> None:
    (output,) = write_refusal(
        example.context(), (Reason("no-bolus", "expected a bolus, found none"),), tmp_path
    )
    assert output.kind == "refusal"
    assert output.path.name == "sr.dcm"
    assert b"no-bolus" in output.path.read_bytes()
