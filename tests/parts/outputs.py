"""All outputs of the made-up exam on disk: as the node writes them, or small ones of any source."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from conformance import example
from dicomnode.dicom.box import Box
from dicomnode.dicom.context import exam_context, study_context
from dicomnode.dicom.fitting import fitting
from dicomnode.dicom.header import read_header
from dicomnode.dicom.results import sr
from dicomnode.dicom.results.capture import secondary_capture
from dicomnode.dicom.results.overlay import write_frames
from dicomnode.dicom.results.seg import segmentation
from dicomnode.dicom.results.segments import segments
from dicomnode.errors import Reason
from dicomnode.outputs.options import EVERYTHING
from dicomnode.outputs.write import write_outputs
from dicomnode.science.findings import UNRELIABLE, Findings, Region, SubRegion
from parts.planes import as_planes

__all__ = ["REASONS", "Files", "brief_findings", "full_set", "sized_seg", "small_set"]

Files = dict[str, Path]
"""Where each kind of output lies."""

REASONS = (Reason("no-bolus", "Expected at least 3 dB of enhancement, found 1.2 dB"),)


def full_set(folder: Path) -> Files:
    """Write the clip, all that is made of it, and what other settings and findings give."""
    findings, context = example.findings(), example.context()
    bare, brief = example.bare_findings(), brief_findings()
    refused = study_context([example.header()], recipe="refused", when=context.when)
    clip = folder / "clip.dcm"
    example.write_clip(clip, example.frames(findings))
    exam = example.exam(clip)
    written = write_outputs(exam, findings, context, folder, EVERYTHING)
    files = {file.kind: file.path for file in written if file.sop_class_uid}
    bare_seg, brief_seg = (segmentation(exam, found, context) for found in (bare, brief))
    made = {
        "seg-full": segmentation(exam, findings, context, geometry="full"),
        "seg-bare": bare_seg,
        "sr-bare": sr.report(exam, bare, context, bare_seg),
        "sr-brief": sr.report(exam, brief, context, brief_seg),
        "refusal": sr.refusal(refused, REASONS),
    }
    return {"clip": clip, **files, **_saved(made, folder)}


def small_set(
    folder: Path, header: Dataset, change: Callable[[bytes], bytes] = lambda content: content
) -> Files:
    """Write every kind of output of a source with this header, which comes from a file as ever.

    ``change`` does to the file what a dataset cannot express.
    """
    source = folder / "source.dcm"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.save_as(source, enforce_file_format=True)
    source.write_bytes(change(source.read_bytes()))
    read = fitting(read_header(source).dataset)
    exam, findings = example.exam(), brief_findings()
    exam = replace(exam, clips=(replace(exam.clips[0], header=read),))
    when = example.context().when
    context = exam_context(exam, models=example.models(), recipe="recipe 1", when=when)
    seg = segmentation(exam, findings, context)
    picture = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)
    made = {
        "seg": seg,
        "lesion": segmentation(exam, findings, context, "lesion"),
        "sr": sr.report(exam, findings, context, seg),
        "refusal": sr.refusal(study_context([read], recipe="1", when=when), REASONS),
        "keyframe": secondary_capture(exam, context, picture, "keyframe", frame=3),
        "report": secondary_capture(exam, context, picture, "report"),
    }
    overlay = folder / "overlay.dcm"
    write_frames(overlay, exam, context, (as_planes(picture) for _ in range(example.FRAMES)))
    return {"overlay": overlay, **_saved(made, folder)}


def sized_seg(rows: int, columns: int) -> tuple[Dataset, NDArray[np.bool_]]:
    """Build the SEG of an exam of this size in pixels; return it with its masks (T, R, C)."""
    labels = np.random.default_rng(rows * columns).choice([1, 2, 4, 5], (rows, columns))
    labels.flat[0] = 1
    findings = replace(
        example.findings(),
        subregion_map=labels.astype(np.uint8),
        lesion_mask=labels > 0,
        ring_mask=np.zeros(labels.shape, np.bool_),
    )
    header = example.header()
    header.Rows, header.Columns = rows, columns
    header.SOPInstanceUID = f"2.25.{rows}000{columns}"
    exam = example.exam()
    exam = replace(
        exam,
        clips=(replace(exam.clips[0], header=header),),
        contrast=Box(row=0, column=0, rows=rows, columns=columns),
        bmode=None,
    )
    when = example.context().when
    context = exam_context(exam, models=example.models(), recipe="recipe 1", when=when)
    masks = [part.mask for part in segments(findings)]
    return segmentation(exam, findings, context), np.stack(masks)


def brief_findings() -> Findings:
    """Findings with every kind of row of a report, few of each: one parameter in a dozen."""
    full = example.findings()
    unreliable = full.subregion_map == UNRELIABLE
    one = np.where(full.lesion_mask, full.subregions[0].number, 0)
    return replace(
        full,
        subregions=(_brief(full.subregions[0]), full.subregions[-1]),
        subregion_map=np.where(unreliable, UNRELIABLE, one).astype(np.uint8),
        whole=_brief(full.whole),
        tissue=_brief(full.tissue),
        diagnosis=replace(full.diagnosis, contributions=full.diagnosis.contributions[:1]),
        quality=replace(full.quality, checks=full.quality.checks[:1]),
    )


_Measured = TypeVar("_Measured", Region, SubRegion)


def _brief(region: _Measured) -> _Measured:
    """Keep a ratio and a difference to tissue, which the report tells in two ways."""
    kept = ("PE", "TTP")
    return replace(
        region,
        parameters={name: region.parameters[name] for name in kept},
        relative={name: spread for name, spread in region.relative.items() if name in kept},
    )


def _saved(made: dict[str, Dataset], folder: Path) -> Files:
    files = {kind: folder / f"{kind}.dcm" for kind in made}
    for kind, dataset in made.items():
        dataset.save_as(files[kind], enforce_file_format=True)
    return files
