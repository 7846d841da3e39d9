"""From the files of a study to the files of its results: the whole job of one worker process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dicomnode.errors import Reason
from dicomnode.pipeline import Recipe

__all__ = ["Outcome", "OutputFile", "Request", "process"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to analyse with, the same for every injection of a study."""

    models_dir: Path
    recipe: Recipe = field(default_factory=Recipe)
    revision: int = 1
    maps: bool = False


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """One file that was written; the UIDs are empty for what is not DICOM."""

    kind: str
    path: Path
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    transfer_syntax_uid: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one injection."""

    injection: int
    status: Literal["analysed", "refused"]
    reasons: tuple[Reason, ...]
    outputs: tuple[OutputFile, ...]
    summary: Mapping[str, Any]


def process(paths: Sequence[Path], directory: Path, request: Request) -> tuple[Outcome, ...]:
    """Analyse every injection found in ``paths`` and write its results below ``directory``."""
    raise NotImplementedError
