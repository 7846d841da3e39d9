"""The table of a site's cases: every line checked before anything is measured.

::

    case,label,patient,lesion,reader_1
    exams/0001,malignant,p17,outlines/0001.png,4
    exams/0002,benign,p18,,
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from dicomnode.errors import SettingsError

__all__ = ["Row", "files_of", "read_table", "refuse_lines"]

LABELS = ("benign", "malignant")
COLUMNS = ("case", "label", "patient", "lesion")
READER = "reader_"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table, its cells without the blanks around them."""

    line: int
    cells: Mapping[str, str]
    surplus: int
    """Cells beyond the header's, or short of it where negative."""
    folder: Path
    lesion: Path | None
    """Where the lesion is outlined; None where it is not."""


def read_table(path: Path, *, labelled: bool) -> tuple[tuple[str, ...], list[Row]]:
    """Read the names of the readers and the lines.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 with a header: ``case`` (a folder, relative to the table), ``label`` (benign or
        malignant), and where there are any ``patient`` (the case itself by default), ``lesion`` (a
        file, relative to the table, or nothing) and columns that begin with ``reader_`` (a number
        or nothing).
    labelled : bool
        Whether every case needs a label.

    Raises
    ------
    SettingsError
        With every line that cannot be used.
    """
    readers, rows = _rows(path)
    faults = [*_faults(rows, readers, labelled=labelled), *_repeated(rows), *_nested(rows)]
    refuse_lines(path, faults)
    return readers, rows


def refuse_lines(path: Path, faults: Iterable[tuple[int, str]]) -> None:
    """Raise ``SettingsError`` with all that is wrong, by line; do nothing where nothing is."""
    found = sorted(faults)
    if found:
        raise SettingsError(
            f"{path}: expected lines that can be used, found {len(found)} faults:"
            + "".join(f"\n  line {line}: {fault}" for line, fault in found)
        )


def files_of(folder: Path, lesion: Path | None = None) -> list[Path]:
    """Every file in a folder but the outline of its lesion, at any depth, in a stable order."""
    outline = None if lesion is None else lesion.resolve()
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path.resolve() != outline)


def _rows(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = [cell.strip() for cell in next(lines, [])]
            readers = _readers(path, header)
            rows = [
                _row(lines.line_num, header, cells, path.parent)
                for cells in lines
                if any(cell.strip() for cell in cells)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: expected a table in UTF-8, got: {error}") from error
    if not rows:
        raise SettingsError(f"{path}: expected a line for each case below the header, got none")
    return readers, rows


def _readers(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    """Check the header: a misspelt ``patient`` would put one patient on both sides of a fold."""
    readers = tuple(name for name in header if name.startswith(READER))
    unknown = sorted({name for name in header if name not in COLUMNS and name not in readers})
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    if unknown or twice or not {"case", "label"} <= set(header):
        raise SettingsError(
            f"{path}: expected a header with the columns case and label, and perhaps patient, "
            f"lesion and columns that begin with {READER}, each once and parted by commas, got "
            f"{', '.join(header) or 'nothing'}"
        )
    return readers


def _row(line: int, header: Sequence[str], cells: Sequence[str], root: Path) -> Row:
    named = dict(zip(header, (cell.strip() for cell in cells), strict=False))
    return Row(
        line=line,
        cells={name: named.get(name, "") for name in header},
        surplus=len(cells) - len(header),
        folder=root / named.get("case", ""),
        lesion=root / named["lesion"] if named.get("lesion") else None,
    )


def _faults(
    rows: Sequence[Row], readers: Sequence[str], *, labelled: bool
) -> Iterator[tuple[int, str]]:
    for row in rows:
        if row.surplus:
            cells = len(row.cells)
            yield row.line, f"expected {cells} cells as in the header, got {cells + row.surplus}"
        if fault := _fault_of_folder(row):
            yield row.line, fault
        if row.lesion is not None and not row.lesion.is_file():
            told = row.cells["lesion"]
            yield row.line, f"lesion: expected a file beside the table, got {told!r}, which is none"
        label = row.cells["label"]
        if label.lower() not in LABELS and (labelled or label):
            found = repr(label) if label else "nothing"
            yield row.line, f"label: expected benign or malignant, got {found}"
        for reader in readers:
            if not _is_score(row.cells[reader]):
                yield row.line, f"{reader}: expected a number or nothing, got {row.cells[reader]!r}"


def _fault_of_folder(row: Row) -> str:
    name = row.cells["case"]
    if not name:
        return "case: expected a folder, got nothing"
    if not row.folder.is_dir():
        return f"case: expected a folder beside the table, got {name!r}, which is none"
    if not files_of(row.folder, row.lesion):
        return f"case: expected DICOM files in {name!r}, it is empty"
    return ""


def _is_score(cell: str) -> bool:
    try:
        return not cell or isfinite(float(cell))
    except ValueError:
        return False


def _repeated(rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
    first: dict[tuple[str, Path], int] = {}
    for row in rows:
        for column, path in (("case", row.folder), ("lesion", row.lesion)):
            if path is None or not row.cells[column]:
                continue
            line = first.setdefault((column, path.resolve()), row.line)
            if line != row.line:
                told = row.cells[column]
                yield row.line, f"{column}: expected each once, got {told!r} as in line {line}"


def _nested(rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
    """Find folders that lie in another case's: its files would be read with that one, too."""
    named = sorted({row.folder.resolve(): row for row in rows if row.cells["case"]}.items())
    outer, outermost = named[0] if named else (Path(), None)
    for folder, row in named[1:]:
        if outermost is not None and folder.is_relative_to(outer):
            name, line = row.cells["case"], outermost.line
            yield row.line, f"case: expected folders apart, got {name!r} in that of line {line}"
        else:
            outer, outermost = folder, row
