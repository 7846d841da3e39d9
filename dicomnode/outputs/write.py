"""The files of one result, as DESIGN names them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from dicomnode import __version__
from dicomnode.dicom.context import Context, Kind, laterality
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.results.capture import secondary_capture
from dicomnode.dicom.results.overlay import write_loop
from dicomnode.dicom.results.parametric import parametric_map
from dicomnode.dicom.results.pdf import encapsulated_pdf
from dicomnode.dicom.results.presentation import presentation_state
from dicomnode.dicom.results.seg import segmentation
from dicomnode.dicom.results.segments import full_image
from dicomnode.dicom.results.sr import refusal, report
from dicomnode.errors import Reason
from dicomnode.outputs.form import USUAL, Form
from dicomnode.outputs.request import OutputFile
from dicomnode.record.schema import Record
from dicomnode.report.keyframe import keyframe
from dicomnode.report.page import ReportHeader, page, page_as_pdf
from dicomnode.report.paint import LoopPainter
from dicomnode.science.findings import Findings

__all__ = ["write_maps", "write_outputs", "write_record", "write_refusal"]

SIDES = {"L": "left breast", "R": "right breast", None: "side not stated"}


def write_outputs(
    exam: Exam,
    findings: Findings,
    context: Context,
    directory: Path,
    form: Form = USUAL,
) -> list[OutputFile]:
    """Write both SEGs, overlay, key frame, report page, extras, and the SR that refers to all."""
    geometry, extras = form.seg_geometry, form.extras
    header = _page_header(exam)
    picture = page(findings, header)
    Image.fromarray(picture).save(directory / "report.png")
    frame = findings.reference_frame
    made: dict[Kind, Dataset] = {
        "seg": segmentation(exam, findings, context, geometry=geometry),
        "lesion": segmentation(exam, findings, context, "lesion", geometry=geometry),
        "keyframe": secondary_capture(exam, context, keyframe(findings), "keyframe", frame=frame),
        "report": secondary_capture(exam, context, picture, "report"),
    }
    if "pdf" in extras:
        made["pdf"] = encapsulated_pdf(exam, context, page_as_pdf(findings, header))
    if "parametric" in extras:
        made["parametric"] = parametric_map(exam, findings, context)
    if "presentation" in extras:
        made["presentation"] = presentation_state(exam, findings, context)
    files = [_saved(dataset, kind, directory) for kind, dataset in made.items()]
    bmode = None if exam.bmode is None else exam.bmode.slices
    painter = LoopPainter(findings, exam.contrast.slices, bmode)
    loop = write_loop(directory / "overlay.dcm", exam, context, painter)
    seg, *others = made.values()
    root = report(exam, findings, context, seg, [*others, loop])
    return [
        *files,
        _listed(loop, "overlay", directory),
        _saved(root, "sr", directory),
        OutputFile(kind="page", path=directory / "report.png"),
    ]


def write_refusal(
    context: Context, reasons: tuple[Reason, ...], directory: Path
) -> list[OutputFile]:
    """Write the SR that says why an exam was not analysed, for destinations that want refusals."""
    dataset = refusal(context, reasons)
    return [replace(_saved(dataset, "sr", directory), kind="refusal")]


def write_record(record: Record, directory: Path) -> OutputFile:
    """Write ``result.json``."""
    path = directory / "result.json"
    path.write_text(json.dumps(record.model_dump(mode="json"), indent=1) + "\n")
    return OutputFile(kind="result", path=path)


def write_maps(exam: Exam, findings: Findings, directory: Path) -> OutputFile:
    """Write ``maps.npz``: lesion, sub-regions and every parameter, in full-image coordinates.

    Where the lesion was divided, "agreement" is the share of resamplings of the loop in which a
    pixel got the sub-region it has. Each is float32 of shape (Rows, Columns) of the source; NaN
    where nothing was measured.
    """
    path = directory / "maps.npz"
    images: dict[str, Any] = {
        "lesion": _whole(exam, findings.lesion_mask),
        "subregion": _whole(exam, findings.subregion_map),
    }
    for name, found in findings.maps.items():
        images["quality" if name == "QOF" else name] = _whole(exam, found)
    if findings.stability is not None:
        images["agreement"] = _whole(exam, findings.stability.agreement)
    np.savez_compressed(path, **images)
    return OutputFile(kind="maps", path=path)


def _whole(exam: Exam, pane: NDArray[np.generic]) -> NDArray[np.float32]:
    rows, columns = int(exam.header.Rows), int(exam.header.Columns)
    outside = np.nan if pane.dtype.kind == "f" else 0
    return full_image(pane.astype(np.float32), exam.contrast, rows, columns, outside)


def _page_header(exam: Exam) -> ReportHeader:
    facts = [SIDES[laterality(exam.header)], f"injection {exam.injection}"]
    if exam.header.get("StudyDate"):
        day = str(exam.header.StudyDate)
        facts.append(f"{day[:4]}-{day[4:6]}-{day[6:8]}")
    return ReportHeader(facts=" · ".join(facts), software=f"dicomnode {__version__}")


def _saved(dataset: Dataset, kind: str, directory: Path) -> OutputFile:
    dataset.save_as(directory / f"{kind}.dcm", enforce_file_format=True)
    return _listed(dataset, kind, directory)


def _listed(dataset: Dataset, kind: str, directory: Path) -> OutputFile:
    return OutputFile(
        kind=kind,
        path=directory / f"{kind}.dcm",
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
    )
