"""Request to a worker and its outcomes: values only, for those who hand them on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel

from dicomnode.errors import Reason
from dicomnode.outputs.options import DEFAULT, ResultOptions
from dicomnode.recipe import Recipe
from dicomnode.record.schema import OutputPart, ReasonPart, Record

__all__ = ["Outcome", "OutputFile", "Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to analyse with, the same for every injection of a study."""

    models_dir: Path
    recipe: Recipe = field(default_factory=Recipe)
    maps: bool = False
    options: ResultOptions = DEFAULT
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
        """The file as the record lists it."""
        return OutputPart(
            kind=self.kind,
            path=self.path.name,
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
        )


class Outcome(BaseModel, frozen=True, extra="forbid"):
    """What became of one injection; JSON on its way from the worker to the ledger."""

    injection: int
    outputs: tuple[OutputFile, ...]
    record: Record

    @property
    def status(self) -> Literal["analysed", "refused"]:
        """Whether there is a result, or only reasons why there is none."""
        return self.record.status

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why there is no result."""
        return tuple(Reason(one.code, one.text) for one in self.record.reasons)

    @classmethod
    def refused(cls, injection: int, reasons: Iterable[Reason]) -> Self:
        """Say why an injection has no result, where nothing was made of it."""
        told = [ReasonPart(code=one.code, text=one.text) for one in reasons]
        record = Record(status="refused", reasons=told, exam=None)
        return cls(injection=injection, outputs=(), record=record)
