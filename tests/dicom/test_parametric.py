"""The Parametric Map: the maps' own values with quantity and unit, nothing where none is."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.dicom.context import RESEARCH_USE
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.results.parametric import parametric_map
from dicomnode.dicom.results.seg import segmentation
from dicomnode.errors import OutputError
from dicomnode.science.findings import UNRELIABLE, Findings
from dicomnode.science.kinetics import PARAMETERS
from parts.accepted import unexpected
from parts.sources import PHOTOMETRIC, SPARSE, Change, sent_as

Judge = Callable[[str, Dataset | Path], list[str]]
QUIET_NAN = 0x7FC00000


@pytest.fixture(scope="module")
def made(example: ModuleType) -> tuple[Exam, Findings, Dataset]:
    exam, findings = example.exam(), example.findings()
    return exam, findings, parametric_map(exam, findings, example.context())


def file_of(dataset: Dataset) -> BytesIO:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.seek(0)
    return file


def in_image(exam: Exam, pane: NDArray[np.float32]) -> NDArray[np.float32]:
    whole = np.full((int(exam.header.Rows), int(exam.header.Columns)), np.nan, np.float32)
    whole[exam.contrast.slices] = pane
    return whole


def frames(dataset: Dataset) -> dict[str, Dataset]:
    """Functional groups of each frame by the parameter's name."""
    groups = dataset.PerFrameFunctionalGroupsSequence
    return {str(group.RealWorldValueMappingSequence[0].LUTLabel): group for group in groups}


def test_maps_read_back_exactly_with_pydicom(made: tuple[Exam, Findings, Dataset]) -> None:
    exam, findings, dataset = made
    back = pydicom.dcmread(file_of(dataset))
    pixels = back.pixel_array
    assert pixels.dtype == np.float32
    assert len(pixels) == back.NumberOfFrames == len(findings.maps) > 10
    for name, image in zip(frames(back), pixels, strict=True):
        assert np.array_equal(image, in_image(exam, findings.maps[name]), equal_nan=True), name


def test_real_world_values_read_back_with_highdicom(made: tuple[Exam, Findings, Dataset]) -> None:
    exam, findings, dataset = made
    back = highdicom.pm.ParametricMap.from_file(file_of(dataset))
    values = back.get_frames(apply_real_world_transform=True, dtype=np.float32)
    for name, image in zip(frames(dataset), values, strict=True):
        assert np.array_equal(image, in_image(exam, findings.maps[name]), equal_nan=True), name


def test_every_frame_says_its_quantity_its_unit_and_its_model(
    made: tuple[Exam, Findings, Dataset],
) -> None:
    _, _, dataset = made
    assert list(frames(dataset)) == [parameter.name for parameter in PARAMETERS]
    for parameter in PARAMETERS:
        group = frames(dataset)[parameter.name]
        (mapping,) = group.RealWorldValueMappingSequence
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == parameter.unit
        assert mapping.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"
        quantity, model = (
            (item.ConceptNameCodeSequence[0].CodeMeaning, item.ConceptCodeSequence[0])
            for item in mapping.QuantityDefinitionSequence
        )
        code = (
            quantity[1].CodeValue,
            quantity[1].CodingSchemeDesignator,
            quantity[1].CodeMeaning,
        )
        assert (quantity[0], code) == ("Quantity", parameter.code)
        assert (model[0], model[1].CodeMeaning) == ("Model fitting method", "lognormal bolus")
        assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    assert dataset.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99DICOMNODE"


def test_what_was_not_measured_is_no_number(example: ModuleType) -> None:
    """Neither zero, nor infinite, nor a value that only the padding tells from a measurement."""
    findings = example.findings()
    peak = findings.maps["PE"].copy()
    inside = np.argwhere(np.isfinite(peak))
    peak[tuple(inside[0])] = np.inf
    peak.view(np.uint32)[tuple(inside[1])] = 0xFFC00001  # another NaN
    findings = replace(findings, maps={"PE": peak})
    dataset = parametric_map(example.exam(), findings, example.context())
    back = pydicom.dcmread(file_of(dataset))
    bits = np.frombuffer(back.FloatPixelData, "<u4")
    missing = np.isnan(bits.view("<f4"))
    assert missing.sum() == back.Rows * back.Columns - len(inside) + 2
    assert set(bits[missing].tolist()) == {QUIET_NAN}
    assert np.isfinite(bits.view("<f4")[~missing]).all()


def test_it_lies_in_the_plane_of_the_full_seg(
    example: ModuleType, made: tuple[Exam, Findings, Dataset]
) -> None:
    exam, findings, dataset = made
    seg = segmentation(exam, findings, example.context(), geometry="full")
    assert dataset.FrameOfReferenceUID == seg.FrameOfReferenceUID
    assert (dataset.Rows, dataset.Columns) == (seg.Rows, seg.Columns)
    shared, seg_shared = (each.SharedFunctionalGroupsSequence[0] for each in (dataset, seg))
    assert shared.PlaneOrientationSequence == seg_shared.PlaneOrientationSequence
    assert shared.PixelMeasuresSequence[0].PixelSpacing == list(findings.spacing_mm)
    position = seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence
    for group in dataset.PerFrameFunctionalGroupsSequence:
        assert group.PlanePositionSequence == position


def test_it_points_at_one_frame_and_names_all_clips(example: ModuleType) -> None:
    """The reference frame may lie in the second of two clips, which lie in series of their own."""
    exam = example.exam()
    second = example.header()
    second.SOPInstanceUID, second.SeriesInstanceUID = "2.25.1002", "2.25.3002"
    clips = (exam.clips[0], replace(exam.clips[0], header=second))
    exam, findings = replace(exam, clips=clips), example.findings()
    findings = replace(findings, reference_frame=len(exam.clips[0].frame_times_s) + 4)
    dataset = parametric_map(exam, findings, example.context())
    for group in dataset.PerFrameFunctionalGroupsSequence:
        (derivation,) = group.DerivationImageSequence
        (source,) = derivation.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == "2.25.1002"
        assert source.ReferencedFrameNumber == 5
        assert derivation.DerivationCodeSequence[0].CodeMeaning == "Perfusion image analysis"
    named = {
        (str(series.SeriesInstanceUID), str(instance.ReferencedSOPInstanceUID))
        for series in dataset.ReferencedSeriesSequence
        for instance in series.ReferencedInstanceSequence
    }
    assert named == {("2.25.3001", "2.25.1001"), ("2.25.3002", "2.25.1002")}
    sources = [item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence]
    assert sources == ["2.25.1001", "2.25.1002"]


def test_a_window_spans_what_is_reliable(made: tuple[Exam, Findings, Dataset]) -> None:
    _, findings, dataset = made
    reliable = findings.lesion_mask & (findings.subregion_map != UNRELIABLE)
    for name, group in frames(dataset).items():
        (window,) = group.FrameVOILUTSequence
        low = window.WindowCenter - window.WindowWidth / 2
        high = window.WindowCenter + window.WindowWidth / 2
        values = findings.maps[name][reliable]
        values = values[np.isfinite(values)]
        assert values.min() <= low <= high <= values.max() or np.ptp(values) == 0
        assert window.WindowWidth > 0
        assert np.mean((values >= low) & (values <= high)) > 0.95
        assert window.VOILUTFunction == "LINEAR_EXACT"


def test_it_says_what_it_may_not_be_used_for(made: tuple[Exam, Findings, Dataset]) -> None:
    _, _, dataset = made
    assert dataset.ImageComments == RESEARCH_USE
    assert dataset.DerivationDescription.endswith(RESEARCH_USE)
    assert dataset.ContentQualification == "RESEARCH"
    assert "research use" in dataset.ContentDescription
    assert "research use" in dataset.SeriesDescription


def test_it_files_with_its_patient_in_a_series_of_its_own(
    example: ModuleType, made: tuple[Exam, Findings, Dataset]
) -> None:
    exam, findings, dataset = made
    back = pydicom.dcmread(file_of(dataset))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber"):
        assert back[keyword].value == exam.header[keyword].value
    assert back.Modality == "US"  # of the acquisition, PS3.3 C.8.32.1
    assert back.SeriesNumber == 9018
    seg = segmentation(exam, findings, example.context())
    assert back.SeriesInstanceUID not in (exam.header.SeriesInstanceUID, seg.SeriesInstanceUID)


def test_the_same_exam_gives_the_same_object(example: ModuleType) -> None:
    made = [parametric_map(example.exam(), example.findings(), example.context()) for _ in range(2)]
    assert file_of(made[0]).getvalue() == file_of(made[1]).getvalue()


@pytest.mark.parametrize("change", [*PHOTOMETRIC.values(), *SPARSE.values()])
def test_dciodvfy_finds_nothing_new_whatever_the_source(
    example: ModuleType, judged: Judge, change: Change
) -> None:
    exam, context = sent_as(change)
    findings = replace(example.findings(), maps={"PE": example.findings().maps["PE"]})
    dataset = parametric_map(exam, findings, context)
    assert unexpected("dciodvfy", judged("dciodvfy", dataset)) == []
    assert dataset.LossyImageCompression == exam.header.get("LossyImageCompression", "00")


def test_dciodvfy_finds_nothing_new_in_all_frames_or_where_nothing_was_measured(
    example: ModuleType, made: tuple[Exam, Findings, Dataset], judged: Judge
) -> None:
    exam, _, dataset = made
    bare = parametric_map(exam, example.bare_findings(), example.context())
    assert np.isnan(pydicom.dcmread(file_of(bare)).pixel_array).all()
    for each in (dataset, bare):
        assert unexpected("dciodvfy", judged("dciodvfy", each)) == []


def test_a_side_that_is_known_is_in_the_frames(example: ModuleType) -> None:
    exam, context = sent_as()
    dataset = parametric_map(exam, example.findings(), context)
    (anatomy,) = dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence
    assert anatomy.FrameLaterality == "L"
    assert "Laterality" not in dataset


def test_a_source_is_named_by_the_class_it_was_sent_in(example: ModuleType) -> None:
    retired = "1.2.840.10008.5.1.4.1.1.3"
    exam, context = sent_as(lambda header: setattr(header, "SOPClassUID", retired))
    dataset = parametric_map(exam, example.findings(), context)
    classes = [
        element.value for element in dataset.iterall() if element.keyword == "ReferencedSOPClassUID"
    ]
    assert set(classes) == {retired}


def test_findings_without_a_map_are_refused(example: ModuleType) -> None:
    with pytest.raises(OutputError, match="at least one parameter, got none"):
        parametric_map(example.exam(), replace(example.findings(), maps={}), example.context())
