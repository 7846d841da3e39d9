from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from dicomnode.errors import Reason
from dicomnode.outputs.write import write_maps, write_outputs, write_refusal


@pytest.fixture
def written(example: ModuleType, tmp_path: Path) -> Path:
    found = example.findings()
    clip = tmp_path / "clip.dcm"
    example.write_clip(clip, example.frames(found))
    outputs = write_outputs(example.exam(clip), found, example.context(), tmp_path)
    assert [output.kind for output in outputs] == [
        "seg",
        "sr",
        "overlay",
        "keyframe",
        "report",
        "page",
    ]
    for output in outputs[:-1]:
        dataset = dcmread(output.path, stop_before_pixels=True)
        assert dataset.SOPClassUID == output.sop_class_uid
        assert dataset.SOPInstanceUID == output.sop_instance_uid
        assert dataset.file_meta.TransferSyntaxUID == output.transfer_syntax_uid
    return tmp_path


def test_the_report_references_every_object_it_stands_for(written: Path) -> None:
    report = dcmread(written / "sr.dcm")
    evidence = {
        str(instance.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert str(dcmread(written / "seg.dcm").SOPInstanceUID) in evidence
    assert str(dcmread(written / "clip.dcm").SOPInstanceUID) in evidence


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
