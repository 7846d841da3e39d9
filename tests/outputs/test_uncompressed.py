"""A copy that lies on the disk while it is needed, and nowhere after that."""

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.dicom.results.overlay import write_frames
from dicomnode.errors import InputError, StoreError
from dicomnode.outputs.uncompressed import uncompressed
from parts.planes import as_planes
from parts.waiting import PATIENCE_S

DIES = """
import os, sys
from pathlib import Path
from dicomnode.outputs.uncompressed import uncompressed
source, folder = map(Path, sys.argv[1:])
with uncompressed(source, "1.2.840.10008.1.2.1", folder=folder) as path:
    assert path.stat().st_size > 100_000
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def overlay(example: ModuleType, tmp_path: Path) -> Path:
    picture = np.random.default_rng(1).integers(0, 256, (90, 70, 3), np.uint8)
    path = tmp_path / "overlay.dcm"
    pictures = (as_planes(picture) for _ in range(example.FRAMES))
    write_frames(path, example.exam(), example.context(), pictures)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Let the kernel refuse longer files, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_copy_is_there_for_the_block_only(overlay: Path, folder: Path) -> None:
    before = overlay.read_bytes()
    with uncompressed(overlay, ExplicitVRLittleEndian, folder=folder) as path:
        copy = dcmread(path)
        assert copy.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert copy.SOPInstanceUID == dcmread(overlay).SOPInstanceUID
        assert len(copy.PixelData) == 48 * 90 * 70 * 3
        assert list(folder.iterdir()) == []
    assert not path.exists()
    assert overlay.read_bytes() == before


def test_a_killed_process_leaves_nothing(overlay: Path, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, overlay, folder], timeout=PATIENCE_S)
    assert done.returncode == -signal.SIGKILL
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_worth_a_retry(overlay: Path, folder: Path) -> None:
    with (
        files_of_at_most(100_000),
        pytest.raises(StoreError, match=r"could not write overlay\.dcm.*not full") as caught,
        uncompressed(overlay, ExplicitVRLittleEndian, folder=folder),
    ):
        pass
    assert caught.value.retryable
    assert list(folder.iterdir()) == []


def test_a_source_that_is_gone_is_told(folder: Path) -> None:
    with (
        pytest.raises(InputError, match=r"none\.dcm"),
        uncompressed(folder / "none.dcm", ExplicitVRLittleEndian, folder=folder),
    ):
        pass


def test_errors_of_the_block_are_not_taken_for_ours(overlay: Path, folder: Path) -> None:
    with (
        pytest.raises(BrokenPipeError),
        uncompressed(overlay, ExplicitVRLittleEndian, folder=folder),
    ):
        raise BrokenPipeError
