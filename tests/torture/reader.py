"""Reads files for somebody who fears for it: a path per line comes in, a verdict per line goes out.

Run as a process, so that a crash, a hang or a hunger for memory is its own.
"""

import json
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import dicomnode
from dicomnode.config import default_models_dir
from dicomnode.dicom.exam import ReadSettings, load_loop, read_study
from dicomnode.errors import InputError
from dicomnode.outputs.job import process
from dicomnode.outputs.request import Request

MEMORY_BYTES = 6 * 2**30
PACKAGE = Path(dicomnode.__file__).parent
TAG = re.compile(r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)")
ABOUT_THE_PICTURE = {"not-ceus", "no-wash-in", "still", "own-result", "not-ultrasound", "not-dicom"}
"""Verdicts on what a whole file shows, which no element is to blame for."""


def verdict(path: Path, *, analyse: bool) -> dict[str, object]:
    """What became of one file: read, refused (by a named element or not), or crashed."""
    begun = time.process_time()
    try:
        kind, text = _analysed(path) if analyse else _read(path)
    except Exception as error:
        kind, text = "crash", _crash(error)
    return {"kind": kind, "text": text, "cpu_s": time.process_time() - begun}


def _crash(error: Exception) -> str:
    """What was raised, and the last line of the package that it passed."""
    passed = [
        f"{Path(frame.filename).relative_to(PACKAGE)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(PACKAGE)
    ]
    return f"{type(error).__name__} in {passed[-1]}: {str(error)[:100]}"


def _read(path: Path) -> tuple[str, str]:
    study = read_study([path], ReadSettings())
    for exam in study.exams:
        try:
            load_loop(exam)
        except InputError as error:
            return _refused(path, error.code, str(error))
    if study.exams:
        return "read", ""
    (left_out,) = study.left_out
    if left_out.path != path:
        return "unnamed", f"another file was named: {left_out.path}"
    return _refused(path, left_out.reason.code, left_out.reason.text)


def _refused(path: Path, code: str, text: str) -> tuple[str, str]:
    named = TAG.search(text) or code in ABOUT_THE_PICTURE
    return ("refused" if named else "unnamed"), f"{code}: {text}"


def _analysed(path: Path) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        request = Request(models_dir=default_models_dir())
        outcomes = process([path], Path(folder) / "out", request)
    return "analysed", "; ".join(outcome.status for outcome in outcomes)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        what, _, path = line.rstrip("\n").partition(" ")
        print(json.dumps(verdict(Path(path), analyse=what == "analyse")), flush=True)


if __name__ == "__main__":
    main()
