"""Builders of the result objects, by the names that the table of kinds gives them."""

from PIL import Image
from pydicom import Dataset

from dicomnode.dicom.context import laterality
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.results.capture import secondary_capture
from dicomnode.dicom.results.overlay import write_loop
from dicomnode.dicom.results.parametric import parametric_map
from dicomnode.dicom.results.pdf import encapsulated_pdf
from dicomnode.dicom.results.presentation import presentation_state
from dicomnode.dicom.results.seg import segmentation
from dicomnode.dicom.results.sr import report
from dicomnode.outputs.making import Making
from dicomnode.report.keyframe import keyframe
from dicomnode.report.page import ReportHeader, page, page_as_pdf
from dicomnode.report.paint import LoopPainter
from dicomnode.version import __version__

__all__ = [
    "key_frame",
    "lesion",
    "measurements",
    "outlines",
    "overlay_loop",
    "parameter_maps",
    "report_as_pdf",
    "report_page",
    "subregions",
]

_SIDES = {"L": "left breast", "R": "right breast", None: "side not stated"}


def subregions(making: Making) -> Dataset:
    """Make the SEG of the perfusion sub-regions."""
    return making.saved(
        segmentation(making.exam, making.findings, making.context, geometry=making.seg_geometry)
    )


def lesion(making: Making) -> Dataset:
    """Make the SEG of the lesion as a whole."""
    return making.saved(
        segmentation(
            making.exam, making.findings, making.context, "lesion", geometry=making.seg_geometry
        )
    )


def key_frame(making: Making) -> Dataset:
    """Make the picture of the reference frame, plain and painted."""
    picture, frame = keyframe(making.findings), making.findings.reference_frame
    return making.saved(
        secondary_capture(making.exam, making.context, picture, "keyframe", frame=frame)
    )


def report_page(making: Making) -> Dataset:
    """Make the picture of the report page, and a PNG of it beside."""
    picture = page(making.findings, _page_header(making.exam))
    Image.fromarray(picture).save(making.path.with_suffix(".png"))
    return making.saved(secondary_capture(making.exam, making.context, picture, "report"))


def report_as_pdf(making: Making) -> Dataset:
    """Make the report page as PDF."""
    document = page_as_pdf(making.findings, _page_header(making.exam))
    return making.saved(encapsulated_pdf(making.exam, making.context, document))


def parameter_maps(making: Making) -> Dataset:
    """Make the Parametric Map of the kinetic parameters."""
    return making.saved(parametric_map(making.exam, making.findings, making.context))


def outlines(making: Making) -> Dataset:
    """Make the presentation state with the outlines."""
    return making.saved(presentation_state(making.exam, making.findings, making.context))


def overlay_loop(making: Making) -> Dataset:
    """Make the loop with sub-regions painted over it; its frames go into the file as they come."""
    exam = making.exam
    bmode = None if exam.bmode is None else exam.bmode.slices
    painter = LoopPainter(making.findings, exam.contrast.slices, bmode)
    return write_loop(making.path, exam, making.context, painter)


def measurements(making: Making) -> Dataset:
    """Make the SR, which refers to every other object."""
    seg, *others = making.earlier
    return making.saved(report(making.exam, making.findings, making.context, seg, others))


def _page_header(exam: Exam) -> ReportHeader:
    facts = [_SIDES[laterality(exam.header)], f"injection {exam.injection}"]
    if exam.header.get("StudyDate"):
        day = str(exam.header.StudyDate)
        facts.append(f"{day[:4]}-{day[4:6]}-{day[6:8]}")
    return ReportHeader(facts=" · ".join(facts), software=f"dicomnode {__version__}")
