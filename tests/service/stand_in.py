"""A small analysis with real DICOM results, for tests of everything around the analysis.

It runs in worker processes, which find it by PYTHONPATH. The test says in a clip's ImageComments
what shall happen: "refuse", "two injections", or one of TROUBLES, always or ("die once") once.
"""

import ctypes
import hashlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from dicomnode.errors import Reason
from dicomnode.outputs.request import Outcome, OutputFile, Request
from parts import records

KINDS = ("seg", "sr", "overlay", "keyframe", "report")


def models(directory: Path) -> list[str]:
    return ["stand-in 1"]


def process(paths: Sequence[Path], directory: Path, request: Request) -> tuple[Outcome, ...]:
    sources = [dcmread(path, stop_before_pixels=True) for path in paths]
    comments = {str(source.get("ImageComments", "")) for source in sources}
    for comment in comments:
        _misbehave(comment)
    injections = 2 if "two injections" in comments else 1
    return tuple(
        _outcome(number, sources, directory, refused="refuse" in comments)
        for number in range(1, injections + 1)
    )


def _misbehave(comment: str) -> None:
    """Do once, or always, what an analysis should not."""
    trouble, _, once = comment.partition(" ")
    marker = Path(os.environ["STAND_IN_MARKER"] + trouble)
    if once and marker.exists():
        return
    if trouble in TROUBLES:
        marker.touch()
        TROUBLES[trouble]()


def _raise() -> None:
    raise KeyError("DOE^JANE")


def _eat() -> None:
    eaten = [b"x" * 2**20 for _ in range(6 * 2**10)]
    assert not eaten, "6 GiB were there to be had"


def _wait() -> None:
    """Go on when the test says so."""
    go = Path(os.environ["STAND_IN_MARKER"] + "go")
    while not go.exists():
        time.sleep(0.02)


TROUBLES = {
    "eat": _eat,
    "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hang": lambda: time.sleep(600),
    "raise": _raise,
    "stuck": lambda: ctypes.PyDLL(None).sleep(600),  # in C, with the interpreter's lock held
    "wait": _wait,
}


def result_uid(kind: str, injection: int, sources: Sequence[str]) -> str:
    """SOP Instance UID of a result: of the same files always the same."""
    seed = ":".join([*sorted(sources), kind, str(injection)])
    return f"2.25.{int.from_bytes(hashlib.sha256(seed.encode()).digest()[:15])}"


def _outcome(injection: int, sources: list[Dataset], directory: Path, *, refused: bool) -> Outcome:
    place = directory / f"injection-{injection}"
    place.mkdir(parents=True)
    kinds = ("sr",) if refused else KINDS
    no_bolus = Reason("no-bolus", "expected a bolus, found none")
    return Outcome(
        injection=injection,
        outputs=tuple(_write(kind, place, injection, sources) for kind in kinds),
        record=records.refused(no_bolus) if refused else records.answered("benign", 0.12),
    )


def _write(kind: str, place: Path, injection: int, sources: list[Dataset]) -> OutputFile:
    first = sources[0]
    ds = Dataset()
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = result_uid(kind, injection, [one.SOPInstanceUID for one in sources])
    ds.StudyInstanceUID = first.StudyInstanceUID
    ds.SeriesInstanceUID = f"{ds.SOPInstanceUID}.1"[:64]
    ds.PatientName, ds.PatientID = first.PatientName, first.PatientID
    ds.Modality, ds.SeriesDescription = "OT", kind
    ds.InstanceCreationTime = time.strftime("%H%M%S")  # a second analysis gives other bytes
    ds.ImageComments = str(time.time_ns())
    ds.Rows, ds.Columns, ds.SamplesPerPixel = 8, 8, 3
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "RGB", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = np.full((8, 8, 3), 90, np.uint8).tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = place / f"{kind}.dcm"
    dcmwrite(path, ds, enforce_file_format=True)
    return OutputFile(
        kind=kind,
        path=path,
        sop_class_uid=ds.SOPClassUID,
        sop_instance_uid=ds.SOPInstanceUID,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
