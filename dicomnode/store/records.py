"""Records: what was found in an exam, whole, as it was written with its outputs."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from dicomnode.record.schema import Record
from dicomnode.record.summary import Summary
from dicomnode.store.database import Database
from dicomnode.store.schema import records

__all__ = ["Records", "keep_record"]


class Records(Database):
    """The part of the ledger that knows what was found."""

    def record(self, exam_id: int) -> Record | None:
        """Give an exam's record; None where there is none, as of what an older version analysed."""
        query = select(records.c.record).where(records.c.exam_id == exam_id)
        with self._reading() as connection:
            found = connection.scalar(query)
        return None if found is None else Record.model_validate(found)


def keep_record(connection: Connection, exam_id: int, record: Record) -> dict[str, Any]:
    """Write a record in the place of an earlier attempt's; gives what lists show of it."""
    connection.execute(delete(records).where(records.c.exam_id == exam_id))
    kept = {"exam_id": exam_id, "record": record.model_dump(mode="json")}
    connection.execute(insert(records).values(kept))
    return Summary.of(record).model_dump(mode="json", exclude_defaults=True)
