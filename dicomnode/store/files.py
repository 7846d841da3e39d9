"""The files that must lie in the spool."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Select, select

from dicomnode.store.database import Database
from dicomnode.store.rows import InstanceRow, OutputRow
from dicomnode.store.schema import associations, exams, instances, outputs

__all__ = ["Files"]

_AT_ONCE = 500


class Files(Database):
    """The part of the ledger that is asked for every file of every study."""

    def recorded_files(self) -> Iterator[tuple[str, InstanceRow | OutputRow]]:
        """Give the study and the row of each file, reading a few rows at a time."""
        for row in self._rows(select(instances)):
            yield row["study_uid"], InstanceRow(**row | {"path": PurePosixPath(row["path"])})
        of_study = select(outputs, exams.c.study_uid).join(exams, exams.c.id == outputs.c.exam_id)
        for row in self._rows(of_study):
            study_uid = row.pop("study_uid")
            yield study_uid, OutputRow(**row | {"path": PurePosixPath(row["path"])})

    def is_recorded(self, path: PurePosixPath) -> bool:
        """Whether any row names this file."""
        with self._reading() as connection:
            return any(
                connection.execute(select(table.c.id).filter_by(path=str(path)).limit(1)).first()
                for table in (instances, outputs)
            )

    def is_new(self) -> bool:
        """Whether nobody ever sent anything that it knows of."""
        with self._reading() as connection:
            return all(
                connection.execute(select(table.c.id).limit(1)).first() is None
                for table in (associations, instances)
            )

    def _rows(self, query: Select[Any]) -> Iterator[dict[str, Any]]:
        number = query.selected_columns["id"]
        last = 0
        while True:
            page = query.where(number > last).order_by(number).limit(_AT_ONCE)
            with self._reading() as connection:
                rows = [dict(row) for row in connection.execute(page).mappings()]
            yield from rows
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1]["id"]
