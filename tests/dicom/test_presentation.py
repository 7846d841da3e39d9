"""The presentation state: outlines on the lesion's border, over one frame, in their colours."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
from highdicom.color import CIELabColor
from matplotlib.path import Path as Polygon
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ColorSoftcopyPresentationStateStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
)

from dicomnode.dicom.box import Box
from dicomnode.dicom.context import RESEARCH_USE
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.results.presentation import MOST_POINTS, presentation_state
from dicomnode.dicom.results.segments import LESION_RGB
from dicomnode.dicom.results.srgb import srgb_profile
from dicomnode.science.findings import PALETTE, UNRELIABLE, Findings
from dicomnode.science.regions import outlines
from parts.accepted import unexpected
from parts.programs import program
from parts.sources import PHOTOMETRIC, SPARSE, Change, sent_as
from parts.waiting import PATIENCE_S

Judge = Callable[[str, Dataset | Path], list[str]]
Mask = NDArray[np.bool_]


@pytest.fixture(scope="module")
def found(example: ModuleType) -> Findings:
    """Findings whose lesion is outlined as the pipeline does it, along the edges of pixels."""
    findings = example.findings()
    lesion = replace(findings.lesion, outlines=outlines(findings.lesion_mask))
    return replace(findings, lesion=lesion)


@pytest.fixture(scope="module")
def made(example: ModuleType, found: Findings) -> tuple[Exam, Findings, Dataset]:
    exam = example.exam()
    return exam, found, presentation_state(exam, found, example.context())


def file_of(dataset: Dataset) -> BytesIO:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.seek(0)
    return file


def annotations(dataset: Dataset) -> dict[str, Dataset]:
    return {str(each.GraphicLayer): each for each in dataset.GraphicAnnotationSequence}


def polylines(annotation: Dataset) -> list[NDArray[np.float64]]:
    return [
        np.array(graphic.GraphicData).reshape(-1, 2) for graphic in annotation.GraphicObjectSequence
    ]


def inside(annotation: Dataset, rows: int, columns: int) -> Mask:
    """Pixels whose centre lies within an odd number of the polygons."""
    centres = np.argwhere(np.ones((rows, columns), np.bool_))[:, ::-1] + 0.5
    crossed = [Polygon(line).contains_points(centres) for line in polylines(annotation)]
    return np.logical_xor.reduce(crossed).reshape(rows, columns)


def in_image(exam: Exam, pane: Mask) -> Mask:
    whole = np.zeros((int(exam.header.Rows), int(exam.header.Columns)), np.bool_)
    whole[exam.contrast.slices] = pane
    return whole


def regions(findings: Findings) -> dict[str, Mask]:
    parts = {
        f"SUBREGION_{number}": findings.subregion_map == number
        for number in np.unique(findings.subregion_map)
        if 0 < number < UNRELIABLE
    }
    return {
        "LESION": findings.lesion_mask,
        **parts,
        "UNRELIABLE": findings.subregion_map == UNRELIABLE,
    }


def test_outlines_enclose_the_pixels_of_their_regions(
    made: tuple[Exam, Findings, Dataset],
) -> None:
    exam, findings, dataset = made
    back = annotations(pydicom.dcmread(file_of(dataset)))
    masks = regions(findings)
    assert list(back) == [*masks, "NOTICE"]
    for name, mask in masks.items():
        whole = in_image(exam, mask)
        assert np.array_equal(inside(back[name], *whole.shape), whole), name


@pytest.mark.parametrize(
    ("pixel", "corners"), [((0, 0), (0, 0, 1, 1)), ((2, 3), (3, 2, 4, 3)), ((4, 6), (6, 4, 7, 5))]
)
def test_the_upper_left_pixel_spans_0_to_1(
    example: ModuleType, pixel: tuple[int, int], corners: tuple[float, ...]
) -> None:
    r"""PS3.3 C.10.5: 0.0\0.0 is that pixel's corner; the image ends at Columns\Rows."""
    mask = np.zeros((5, 7), np.bool_)
    mask[pixel] = True
    findings = example.findings()
    findings = replace(
        findings,
        lesion_mask=mask,
        subregion_map=mask.astype(np.uint8),
        ring_mask=~mask,
        lesion=replace(findings.lesion, outlines=outlines(mask)),
    )
    exam, context = sent_as(lambda header: header.update({"Rows": 5, "Columns": 7}))
    exam = replace(exam, contrast=Box(row=0, column=0, rows=5, columns=7), bmode=None)
    dataset = presentation_state(exam, findings, context)
    for name in ("LESION", "SUBREGION_1"):
        (line,) = polylines(annotations(dataset)[name])
        assert (*line.min(axis=0), *line.max(axis=0)) == corners
        (text,) = annotations(dataset)[name].TextObjectSequence
        box = [*text.BoundingBoxTopLeftHandCorner, *text.BoundingBoxBottomRightHandCorner]
        left, top, right, bottom = box
        assert 0 <= left < right <= 7
        assert 0 <= top < bottom <= 5


def test_holes_and_what_lies_in_them_are_outlined_too(example: ModuleType, found: Findings) -> None:
    """A rim, drawn alone, is not its outer border: that would be the whole lesion."""
    lesion = found.lesion_mask
    radius = np.hypot(*np.indices(lesion.shape) - np.array([[[104]], [[71]]]))
    label = np.where(lesion, 4, 0).astype(np.uint8)
    label[radius < 25] = 2
    label[radius < 12] = 4
    findings = replace(found, subregion_map=label)
    exam = example.exam()
    dataset = presentation_state(exam, findings, example.context())
    rim = annotations(dataset)["SUBREGION_4"]
    assert len(polylines(rim)) == 3
    assert np.array_equal(inside(rim, 243, 331), in_image(exam, label == 4))


def test_every_line_is_closed_and_tied_to_its_segment(
    example: ModuleType, made: tuple[Exam, Findings, Dataset]
) -> None:
    _, _, dataset = made
    for name, annotation in annotations(dataset).items():
        for graphic in annotation.get("GraphicObjectSequence", ()):
            assert graphic.GraphicType == "POLYLINE"
            assert graphic.GraphicAnnotationUnits == "PIXEL"
            assert graphic.NumberOfGraphicPoints == len(graphic.GraphicData) / 2
            assert graphic.GraphicData[:2] == graphic.GraphicData[-2:]
            tracked = {"LESION": "Lesion", "UNRELIABLE": "unreliable"}
            identifier = tracked.get(name, name.replace("SUBREGION_", "Sub-region "))
            assert graphic.TrackingID == identifier
            assert graphic.TrackingUID == example.context().uid("tracking", identifier)


def test_all_of_it_refers_to_the_one_frame(made: tuple[Exam, Findings, Dataset]) -> None:
    exam, findings, dataset = made
    (series,) = dataset.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == exam.header.SeriesInstanceUID
    references = [series.ReferencedImageSequence]
    references += [each.ReferencedImageSequence for each in dataset.GraphicAnnotationSequence]
    for (reference,) in references:
        assert reference.ReferencedSOPClassUID == exam.header.SOPClassUID
        assert reference.ReferencedSOPInstanceUID == exam.header.SOPInstanceUID
        assert reference.ReferencedFrameNumber == findings.reference_frame + 1


def test_layers_have_the_colours_of_all_other_results(
    made: tuple[Exam, Findings, Dataset],
) -> None:
    _, findings, dataset = made
    layers = {str(layer.GraphicLayer): layer for layer in dataset.GraphicLayerSequence}
    assert set(layers) == set(annotations(dataset))
    expected = {f"SUBREGION_{number}": rgb for number, rgb in PALETTE.items()}
    expected |= {"LESION": LESION_RGB, "UNRELIABLE": PALETTE[UNRELIABLE], "NOTICE": (255,) * 3}
    for name, layer in layers.items():
        colour = CIELabColor.from_dicom_value(layer.GraphicLayerRecommendedDisplayCIELabValue)
        assert np.abs(np.subtract(colour.to_rgb(clip=True), expected[name])).max() <= 1
        grey = layer.GraphicLayerRecommendedDisplayGrayscaleValue
        assert grey == round(65535 * colour.l_star / 100)
    orders = {name: layer.GraphicLayerOrder for name, layer in layers.items()}
    assert sorted(orders.values()) == list(range(1, len(layers) + 1))
    areas = {name: mask.sum() for name, mask in regions(findings).items() if name != "LESION"}
    assert sorted(areas, key=areas.get, reverse=True) == sorted(areas, key=orders.get)
    assert orders["NOTICE"] > orders["LESION"] > max(orders[name] for name in areas)


def test_labels_stand_beside_the_lesion(made: tuple[Exam, Findings, Dataset]) -> None:
    exam, findings, dataset = made
    lesion, taken = in_image(exam, findings.lesion_mask), np.zeros((243, 331), np.int64)
    labels = {region.number: region.label for region in findings.subregions}
    for name, annotation in annotations(dataset).items():
        if name == "NOTICE":
            continue
        (text,) = annotation.TextObjectSequence
        number = UNRELIABLE if name == "UNRELIABLE" else int(name[-1]) if name[-1:].isdigit() else 0
        assert text.UnformattedTextValue == labels.get(number, "Lesion")
        left, top = text.BoundingBoxTopLeftHandCorner
        right, bottom = text.BoundingBoxBottomRightHandCorner
        box = Box(
            row=round(top),
            column=round(left),
            rows=round(bottom) - round(top),
            columns=round(right) - round(left),
        )
        taken[box.slices] += 1
        line = polylines(annotation)[0]
        assert np.hypot(*(line - np.array(text.AnchorPoint)).T).min() < 1e-5
    assert taken.max() == 1
    assert not (taken[lesion]).any()
    assert taken[exam.contrast.slices].sum() == taken.sum()


def test_the_notice_stays_in_view(made: tuple[Exam, Findings, Dataset]) -> None:
    _, _, dataset = made
    (text,) = annotations(dataset)["NOTICE"].TextObjectSequence
    assert text.UnformattedTextValue == RESEARCH_USE
    assert text.BoundingBoxAnnotationUnits == "DISPLAY"
    assert "research use" in dataset.ContentDescription


def test_the_whole_image_is_displayed(made: tuple[Exam, Findings, Dataset]) -> None:
    exam, _, dataset = made
    (area,) = dataset.DisplayedAreaSelectionSequence
    assert area.DisplayedAreaTopLeftHandCorner == [1, 1]
    assert area.DisplayedAreaBottomRightHandCorner == [exam.header.Columns, exam.header.Rows]
    assert area.PresentationPixelAspectRatio == [1, 1]


def test_a_line_of_many_points_is_drawn_in_pieces_that_fit(
    example: ModuleType, found: Findings, judged: Judge
) -> None:
    """Explicit VR has 16 bits for the length of FL; a comb of 43 gaps has more points than that."""
    comb = np.zeros(found.lesion_mask.shape, np.bool_)
    comb[20:180, 10:140] = True
    comb[22:180, 11:140:3] = False
    (outline,) = outlines(comb)
    assert len(outline) > MOST_POINTS
    lesion = replace(found.lesion, outlines=(outline,))
    findings = replace(found, lesion_mask=comb, lesion=lesion)
    dataset = presentation_state(example.exam(), findings, example.context())
    pieces = polylines(annotations(pydicom.dcmread(file_of(dataset)))["LESION"])
    assert [len(piece) for piece in pieces] == [MOST_POINTS, len(outline) - MOST_POINTS + 1]
    assert np.array_equal(pieces[0][-1], pieces[1][0])
    joined = np.concatenate([pieces[0], pieces[1][1:]])
    assert np.array_equal(joined, outline[:, ::-1] + (171.5, 22.5))
    assert unexpected("dciodvfy", judged("dciodvfy", dataset)) == []


@pytest.mark.parametrize("name", PHOTOMETRIC)
def test_clips_in_colour_and_in_grey_have_a_class_of_their_own(
    found: Findings, judged: Judge, tmp_path: Path, name: str
) -> None:
    exam, context = sent_as(PHOTOMETRIC[name])
    dataset = presentation_state(exam, found, context)
    path = tmp_path / "ps.dcm"
    dataset.save_as(path, enforce_file_format=True)
    if name.startswith("MONOCHROME"):
        assert dataset.SOPClassUID == GrayscaleSoftcopyPresentationStateStorage
        inverted = {"MONOCHROME2": "IDENTITY", "MONOCHROME1": "INVERSE"}
        assert dataset.PresentationLUTShape == inverted[name]
        assert "ICCProfile" not in dataset
    else:
        assert dataset.SOPClassUID == ColorSoftcopyPresentationStateStorage
        assert dataset.ICCProfile == srgb_profile()
        assert "PresentationLUTShape" not in dataset
    assert unexpected("dciodvfy", judged("dciodvfy", path)) == []
    checked = subprocess.run(
        [program("dcmpschk"), str(path)], capture_output=True, check=True, timeout=PATIENCE_S
    )
    assert b"Test passed" in checked.stdout + checked.stderr


@pytest.mark.parametrize("change", SPARSE.values())
def test_dciodvfy_finds_nothing_new_whatever_the_source(
    found: Findings, judged: Judge, change: Change
) -> None:
    exam, context = sent_as(change)
    dataset = presentation_state(exam, found, context)
    assert unexpected("dciodvfy", judged("dciodvfy", dataset)) == []
    assert (
        unexpected("dciodvfy", judged("dciodvfy", presentation_state(exam, found, context))) == []
    )


def test_a_grey_clip_keeps_its_transformations(found: Findings, judged: Judge) -> None:
    def transforms(header: Dataset) -> None:
        header.RescaleSlope, header.RescaleIntercept = "2", "-5"
        header.WindowCenter, header.WindowWidth = ["100", "50"], ["200", "20"]
        header.PixelAspectRatio = ["4", "3"]

    exam, context = sent_as(PHOTOMETRIC["MONOCHROME2"], transforms)
    dataset = presentation_state(exam, found, context)
    assert (dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType) == (2, -5, "US")
    (window,) = dataset.SoftcopyVOILUTSequence
    assert (window.WindowCenter, window.WindowWidth) == (100, 200)
    (area,) = dataset.DisplayedAreaSelectionSequence
    assert area.PresentationPixelAspectRatio == [4, 3]
    assert unexpected("dciodvfy", judged("dciodvfy", dataset)) == []


def test_a_colour_clip_keeps_its_own_profile(found: Findings) -> None:
    profile = srgb_profile().replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))

    def has_a_profile(header: Dataset) -> None:
        header.ICCProfile = profile

    exam, context = sent_as(has_a_profile)
    dataset = presentation_state(exam, found, context)
    assert dataset.ICCProfile == profile
    assert "ColorSpace" not in dataset


def test_the_profile_is_srgb_of_a_source_device() -> None:
    """PS3.3 C.11.15.1.1: class scnr, colours in RGB. LittleCMS finds it alike its own sRGB."""
    profile = ImageCms.getOpenProfile(BytesIO(srgb_profile()))
    assert (profile.profile.device_class, profile.profile.xcolor_space) == ("scnr", "RGB ")
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    there = np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), transform))
    assert np.abs(there.astype(int) - pixels).max() <= 1


def test_dcmtk_shows_the_outlines_on_that_frame_and_on_no_other(
    example: ModuleType, found: Findings, tmp_path: Path
) -> None:
    exam, context = sent_as(PHOTOMETRIC["MONOCHROME2"])
    header = exam.header
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.PixelData = np.ascontiguousarray(example.frames(found)[..., 0]).tobytes()
    header["PixelData"].VR = "OB"
    header.save_as(tmp_path / "clip.dcm", enforce_file_format=True)
    shown = {}
    for frame in (0, 1):
        findings = replace(found, reference_frame=frame)
        path = tmp_path / f"{frame}.dcm"
        presentation_state(exam, findings, context).save_as(path, enforce_file_format=True)
        said = subprocess.run(
            [
                *(program("dcmp2pgm"), "-v", "--frame", "1", "-p", str(path)),
                *(str(tmp_path / "clip.dcm"), str(tmp_path / "out.pgm")),
            ],
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
        )
        shown[frame] = (said.stdout + said.stderr).decode()
    outline = polylines(annotations(presentation_state(exam, found, context))["LESION"])[0]
    first = ", ".join(f"{column:g}\\{row:g}" for column, row in outline[:3])
    assert f"points={len(outline)} type=polyline filled=no units=pixel" in shown[0]
    assert first in shown[0]
    assert "4 fast, strong" in shown[0]
    assert "type=polyline" not in shown[1]


def test_it_files_with_its_patient_in_a_series_of_its_own(
    made: tuple[Exam, Findings, Dataset],
) -> None:
    exam, _, dataset = made
    back = pydicom.dcmread(file_of(dataset))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber"):
        assert back[keyword].value == exam.header[keyword].value
    assert (back.Modality, back.SeriesNumber) == ("PR", 9019)
    assert (back.PresentationCreationDate, back.PresentationCreationTime) == ("20250102", "110000")
    assert "ContentDate" not in back
    assert back.Laterality == "L"


def test_the_same_exam_gives_the_same_object(example: ModuleType, found: Findings) -> None:
    made = [presentation_state(example.exam(), found, example.context()) for _ in range(2)]
    assert file_of(made[0]).getvalue() == file_of(made[1]).getvalue()


def test_a_source_is_named_by_the_class_it_was_sent_in(found: Findings) -> None:
    retired = "1.2.840.10008.5.1.4.1.1.3"
    exam, context = sent_as(lambda header: setattr(header, "SOPClassUID", retired))
    dataset = presentation_state(exam, found, context)
    classes = [
        element.value for element in dataset.iterall() if element.keyword == "ReferencedSOPClassUID"
    ]
    assert set(classes) == {retired}


def test_a_lesion_that_nothing_divides_is_outlined_alone(
    example: ModuleType, judged: Judge
) -> None:
    dataset = presentation_state(example.exam(), example.bare_findings(), example.context())
    assert list(annotations(dataset)) == ["LESION", "NOTICE"]
    assert unexpected("dciodvfy", judged("dciodvfy", dataset)) == []
