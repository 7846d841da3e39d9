"""The files of one result."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicomnode.dicom.context import Context
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.results.segments import full_image
from dicomnode.dicom.results.sr import refusal
from dicomnode.errors import Reason
from dicomnode.kinds import KINDS
from dicomnode.outputs.making import Making
from dicomnode.outputs.options import DEFAULT, ResultOptions
from dicomnode.outputs.request import OutputFile
from dicomnode.record.schema import Record
from dicomnode.science.findings import Findings

__all__ = ["write_maps", "write_outputs", "write_record", "write_refusal"]


def write_outputs(
    exam: Exam,
    findings: Findings,
    context: Context,
    directory: Path,
    options: ResultOptions = DEFAULT,
) -> list[OutputFile]:
    """Write what is always made and what is asked for, in the order of the table of kinds."""
    made: dict[str, Dataset] = {}
    for name, kind in KINDS.items():
        if kind.on_request and name not in options.extras:
            continue
        made[name] = kind.build(
            Making(
                exam=exam,
                findings=findings,
                context=context,
                path=directory / f"{name}.dcm",
                seg_geometry=options.seg_geometry,
                earlier=tuple(made.values()),
            )
        )
    files = [_listed(dataset, name, directory / f"{name}.dcm") for name, dataset in made.items()]
    return [*files, OutputFile(kind="page", path=directory / "report.png")]


def write_refusal(
    context: Context, reasons: tuple[Reason, ...], directory: Path
) -> list[OutputFile]:
    """Write the SR that says why an exam was not analysed, for destinations that want refusals."""
    dataset, path = refusal(context, reasons), directory / "sr.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return [_listed(dataset, "refusal", path)]


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


def _listed(dataset: Dataset, kind: str, path: Path) -> OutputFile:
    return OutputFile(
        kind=kind,
        path=path,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
    )
