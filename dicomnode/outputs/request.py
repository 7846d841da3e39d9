"""What a worker is asked for, and what it answers: values only, for those who hand them on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dicomnode.errors import Reason
from dicomnode.outputs.form import USUAL, Form
from dicomnode.outputs.schema import OutputPart
from dicomnode.recipe import Recipe

__all__ = ["Outcome", "OutputFile", "Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to analyse with, the same for every injection of a study."""

    models_dir: Path
    recipe: Recipe = field(default_factory=Recipe)
    maps: bool = False
    form: Form = USUAL
    station: str = ""
    """Name of the node, which its results carry."""
    replaces: Mapping[int, Path] = field(default_factory=dict)
    """The report that an injection's report takes the place of, where there is one."""


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """One file that was written; the UIDs are empty for what is not DICOM."""

    kind: str
    path: Path
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    transfer_syntax_uid: str = ""

    @property
    def part(self) -> OutputPart:
        """The file as ``result.json`` lists it."""
        return OutputPart(
            kind=self.kind,
            path=self.path.name,
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one injection."""

    injection: int
    status: Literal["analysed", "refused"]
    reasons: tuple[Reason, ...]
    outputs: tuple[OutputFile, ...]
    summary: Mapping[str, Any]
    """What lists show, in values that JSON knows."""
