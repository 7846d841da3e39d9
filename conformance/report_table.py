"""Contents of the structured report, group by group, as tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom import Dataset

from conformance.content import Line, lines
from conformance.markdown import table

__all__ = ["report_tables"]

HEAD = ("Content item", "Value type", "Value", "Modified by")


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A content item told apart by group, place and name, with all that was seen of it."""

    depth: int
    name: str
    value_type: str
    kinds: dict[str, None] = field(default_factory=dict)
    modifiers: dict[str, dict[str, None]] = field(default_factory=dict)
    """What may stand below a measurement, a code or a reference, by its name."""

    @property
    def cells(self) -> tuple[str, str, str, str]:
        modifiers = [f"{name} {'; '.join(kinds)}" for name, kinds in self.modifiers.items()]
        return (
            ">" * self.depth + self.name,
            self.value_type,
            "; ".join(self.kinds),
            "; ".join(modifiers),
        )


def report_tables(reports: Sequence[Dataset]) -> str:
    """Return a table of the document and one of each of its parts, in order.

    Groups of sub-regions are one. What may stand in one place is named together.
    """
    groups: dict[str, dict[tuple[str, ...], _Row]] = {}
    for report in reports:
        _add(groups, lines(report))
    texts = []
    for name, rows in groups.items():
        cells = [row.cells for row in rows.values()]
        texts.append(f"**{name or 'The document'}**\n\n{table(HEAD, cells)}")
    return "\n\n".join(texts)


def _add(groups: dict[str, dict[tuple[str, ...], _Row]], found: Sequence[Line]) -> None:
    parents: list[Line] = []
    first: dict[str, int] = {}
    for line in found:
        del parents[line.depth :]
        parents.append(line)
        rows = groups.setdefault(line.group, {})
        root = first.setdefault(line.group, line.depth)
        holder = next(at for at in parents if at.value_type != "CONTAINER" or at is line)
        key = tuple(f"{at.value_type} {at.name}" for at in parents[: holder.depth + 1])
        row = rows.setdefault(
            key, _Row(depth=holder.depth - root, name=holder.name, value_type=holder.value_type)
        )
        if holder is line:
            row.kinds[line.kind] = None
        else:
            row.modifiers.setdefault(line.name, {})[line.kind] = None
