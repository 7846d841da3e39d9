"""Kinds of result object: one row each, from which settings, series, files and lists follow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dicomnode.named import Named

__all__ = ["BY_DEFAULT", "KINDS", "ON_REQUEST", "PICTURES", "SETTABLE", "OutputKind", "with_them"]


@dataclass(frozen=True, kw_only=True)
class OutputKind:
    """One kind of result object; each injection of a study has a series of it.

    Attributes
    ----------
    name : str
        In settings, file names, UIDs and the ledger.
    number : int
        Place of its series among those of a result.
    modality : str
        Modality (0008,0060).
    title : str
        What it is, for people; part of Series Description (0008,103E).
    build : Named
        Takes a :class:`~dicomnode.outputs.making.Making`, writes the file and gives its dataset.
    on_request : bool
        Made only where somebody asks for it.
    goes_with : str
        The kind that it accompanies; nobody asks for it by itself.
    is_picture : bool
        A single colour picture without the patient's name in its pixels: web pages show it.
    """

    name: str
    number: int
    modality: str
    title: str
    build: Named
    on_request: bool = False
    goes_with: str = ""
    is_picture: bool = False

    @property
    def description(self) -> str:
        """Series Description (0008,103E)."""
        return f"AI {self.title} (research use)"

    def series_number(self, injection: int) -> int:
        """Series Number (0020,0011), far above a scanner's; ``injection`` counts from 1."""
        return 9000 + 10 * injection + self.number


_OBJECTS = "dicomnode.outputs.objects"

_ROWS = (
    OutputKind(
        name="seg",
        number=1,
        modality="SEG",
        title="perfusion sub-regions",
        build=Named(f"{_OBJECTS}:subregions"),
    ),
    OutputKind(
        name="lesion",
        number=7,
        modality="SEG",
        title="lesion",
        build=Named(f"{_OBJECTS}:lesion"),
        goes_with="seg",
    ),
    OutputKind(
        name="keyframe",
        number=4,
        modality="OT",
        title="key frame",
        build=Named(f"{_OBJECTS}:key_frame"),
        is_picture=True,
    ),
    OutputKind(
        name="report",
        number=5,
        modality="OT",
        title="report page",
        build=Named(f"{_OBJECTS}:report_page"),
        is_picture=True,
    ),
    OutputKind(
        name="pdf",
        number=6,
        modality="DOC",
        title="report as PDF",
        build=Named(f"{_OBJECTS}:report_as_pdf"),
        on_request=True,
    ),
    OutputKind(
        name="parametric",
        number=8,
        modality="US",
        title="parameter maps",
        build=Named(f"{_OBJECTS}:parameter_maps"),
        on_request=True,
    ),
    OutputKind(
        name="presentation",
        number=9,
        modality="PR",
        title="outlines",
        build=Named(f"{_OBJECTS}:outlines"),
        on_request=True,
    ),
    OutputKind(
        name="overlay",
        number=3,
        modality="US",
        title="overlay loop",
        build=Named(f"{_OBJECTS}:overlay_loop"),
    ),
    OutputKind(
        name="sr",
        number=2,
        modality="SR",
        title="measurements",
        build=Named(f"{_OBJECTS}:measurements"),
    ),
)
"""In the order in which they are made: the report, which refers to all others, is the last."""

KINDS: Mapping[str, OutputKind] = {kind.name: kind for kind in _ROWS}

SETTABLE = tuple(
    kind.name for kind in sorted(_ROWS, key=lambda kind: kind.number) if not kind.goes_with
)
"""What a destination may be given, by name."""
BY_DEFAULT = tuple(name for name in SETTABLE if not KINDS[name].on_request)
ON_REQUEST = tuple(name for name in SETTABLE if KINDS[name].on_request)
PICTURES = tuple(kind.name for kind in _ROWS if kind.is_picture)


def with_them(names: Iterable[str]) -> tuple[str, ...]:
    """Add the kinds that go with these."""
    asked = tuple(names)
    return (*asked, *(kind.name for kind in _ROWS if kind.goes_with in asked))
