"""The whole job of one worker process: a study's files in, its results' files out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from pydicom import Dataset
from threadpoolctl import threadpool_limits

from dicomnode.dicom.context import Context, Equipment, exam_context, study_context
from dicomnode.dicom.digest import dataset_digest
from dicomnode.dicom.exam import Exam, LeftOut
from dicomnode.dicom.fitting import fitting
from dicomnode.dicom.header import read_header
from dicomnode.errors import InputError, Reason
from dicomnode.inference.models import Models, load_models
from dicomnode.outputs.record import record_of
from dicomnode.outputs.request import Outcome, OutputFile, Request
from dicomnode.outputs.write import (
    write_maps,
    write_outputs,
    write_record,
    write_refusal,
)
from dicomnode.pipeline import Result, Timing, analyse_study
from dicomnode.recipe import METHOD_VERSION

__all__ = ["process"]

IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""What a report names of an instance that it is about."""


def process(paths: Sequence[Path], directory: Path, request: Request) -> tuple[Outcome, ...]:
    """Analyse every injection found in the files of one study.

    Results are written to ``directory``, or to ``directory/injection-N`` where the study holds
    several injections. A study without any contrast exam is one refused outcome whose reasons say
    of each file why. Linear algebra keeps to one thread; compiled loops use all cores in each
    worker. Results do not depend on how many there are.

    Raises
    ------
    BundleError
        A model bundle is missing or was changed.
    """
    with threadpool_limits(limits=1):
        return _process(paths, directory, request)


def _process(paths: Sequence[Path], directory: Path, request: Request) -> tuple[Outcome, ...]:
    models = load_models(request.models_dir)
    study = analyse_study(paths, models, request.recipe)
    directory.mkdir(parents=True, exist_ok=True)
    if not study.results:
        return (_without_exam(study.left_out, directory, request),)
    several = len(study.results) > 1
    return tuple(
        _one(result, models, _place(result.exam, directory, several=several), request)
        for result in study.results
    )


def _place(exam: Exam, directory: Path, *, several: bool) -> Path:
    return directory / f"injection-{exam.injection}" if several else directory


def _one(result: Result, models: Models, directory: Path, request: Request) -> Outcome:
    directory.mkdir(parents=True, exist_ok=True)
    exam = result.exam
    context = exam_context(
        exam,
        models=models.uses,
        recipe=_identity(exam, request),
        when=datetime.now(UTC),
        equipment=Equipment(station=request.station),
        replaces=_replaced(request, exam.injection),
    )
    timing = Timing(result.timing_s)
    with timing.step("write"):
        if result.findings is None:
            outputs = write_refusal(context, result.reasons, directory)
        else:
            outputs = write_outputs(exam, result.findings, context, directory, request.options)
            if request.maps:
                outputs.append(write_maps(exam, result.findings, directory))
    timed = replace(result, timing_s=timing)
    return _outcome(exam.injection, timed, result.reasons, outputs, directory)


def _without_exam(left_out: Sequence[LeftOut], directory: Path, request: Request) -> Outcome:
    reasons = tuple(left.told for left in left_out) or (
        Reason("no-files", "expected DICOM files of a study, got none"),
    )
    context = _context_of_refusal(left_out, request)
    outputs = write_refusal(context, reasons, directory) if context else []
    return _outcome(1, None, reasons, outputs, directory)


def _context_of_refusal(left_out: Sequence[LeftOut], request: Request) -> Context | None:
    """Patient and study of the first file that says whose it is; None where none does."""
    headers = [header for left in left_out if (header := _header(left.path)) is not None]
    if not headers:
        return None
    return study_context(
        headers,
        recipe=json.dumps(asdict(request.recipe), sort_keys=True),
        when=datetime.now(UTC),
        equipment=Equipment(station=request.station),
        replaces=_replaced(request, 1),
    )


def _replaced(request: Request, injection: int) -> Dataset | None:
    path = request.replaces.get(injection)
    return None if path is None else _header(path)


def _header(path: Path) -> Dataset | None:
    """What a result may copy from a file; None where it does not say what it is."""
    try:
        header = read_header(path)
        for keyword in IDENTITY:
            header.elements.uid(keyword)
    except InputError:
        return None
    return fitting(header.dataset)


def _identity(exam: Exam, request: Request) -> str:
    """What decides a result besides software and models: bytes of the clips, recipe, options."""
    parts = [dataset_digest(clip.path) for clip in exam.clips]
    parts += [json.dumps(asdict(request.recipe), sort_keys=True), METHOD_VERSION]
    parts += [request.options.seg_geometry, *sorted(request.options.extras)]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _outcome(
    injection: int,
    result: Result | None,
    reasons: tuple[Reason, ...],
    outputs: list[OutputFile],
    directory: Path,
) -> Outcome:
    record = record_of(result, reasons, [output.part for output in outputs])
    return Outcome(
        injection=injection,
        outputs=(*outputs, write_record(record, directory)),
        record=record,
    )
