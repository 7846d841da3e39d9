"""Files that a person names, or the folders that hold them."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from dicomnode.errors import SettingsError

__all__ = ["AnyPath", "files_below"]

AnyPath = str | PathLike[str]


def files_below(paths: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """List every file that is named or lies below a folder that is, in a stable order.

    Raises
    ------
    SettingsError
        There is none.
    """
    named = [paths] if isinstance(paths, str | PathLike) else list(paths)
    found: list[Path] = []
    for path in map(Path, named):
        found.extend(sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path])
    if not found:
        raise SettingsError(f"no files in {', '.join(map(str, named))}")
    return found
