"""Readers of segmentations that share no code with the ones in Python: dcmjs and DCMTK."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parts.programs import missing, program
from parts.waiting import PATIENCE_S

__all__ = ["ReadByDcmjs", "frames_by_dcmtk", "read_by_dcmjs"]

READERS = Path(__file__).resolve().parents[1] / "readers"
INSTALLED = READERS / "node_modules" / ".package-lock.json"


@dataclass(frozen=True, kw_only=True)
class ReadByDcmjs:
    """One segmentation as dcmjs reads it; frames are (T, R, C)."""

    frames: NDArray[np.uint8]
    labels: list[str]
    source_frames: list[int]


def read_by_dcmjs(paths: list[Path]) -> list[ReadByDcmjs]:
    """Read segmentations under Node; its packages are installed where they are missing."""
    node = program("node")
    _install()
    result = subprocess.run(
        [node, str(READERS / "segments.mjs"), *map(str, paths)],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return [
        ReadByDcmjs(
            frames=np.stack([_plane(frame, found) for frame in found["frames"]]),
            labels=found["labels"],
            source_frames=[int(number) for number in found["source_frames"]],
        )
        for found in json.loads(result.stdout)
    ]


def frames_by_dcmtk(path: Path, folder: Path) -> NDArray[np.bool_]:
    """Let dcm2pnm write every frame as a picture, and say which pixels are set."""
    subprocess.run(
        [program("dcm2pnm"), "--all-frames", "--write-raw-pnm", str(path), str(folder / "frame")],
        check=True,
        timeout=PATIENCE_S,
    )
    pictures = sorted(folder.glob("frame.*.pgm"), key=lambda found: int(found.suffixes[0][1:]))
    return np.stack([np.asarray(Image.open(picture)) > 0 for picture in pictures])


def _plane(frame: str, found: dict[str, int]) -> NDArray[np.uint8]:
    pixels = np.frombuffer(base64.b64decode(frame), np.uint8)
    return pixels.reshape(found["rows"], found["columns"])


def _install() -> None:
    lock = READERS / "package-lock.json"
    if INSTALLED.exists() and INSTALLED.stat().st_mtime >= lock.stat().st_mtime:
        return
    result = subprocess.run(
        [program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=READERS,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    if result.returncode != 0:
        missing(f"the packages of {lock.parent.name}/{lock.name} (npm ci: {result.stderr[-500:]})")
