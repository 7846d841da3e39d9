"""The ledger: what was received, what became of it, and what was delivered where."""

from dicomnode.store.arrivals import Arrivals
from dicomnode.store.exams import Exams
from dicomnode.store.files import Files
from dicomnode.store.outbox import Outbox
from dicomnode.store.records import Records
from dicomnode.store.recovery import Recovery

__all__ = ["Ledger"]


class Ledger(Arrivals, Exams, Files, Outbox, Records, Recovery):
    """The truth for the acknowledgement and for people, safe under several processes.

    ``now`` is always given by the caller, in UTC epoch seconds. Every method is one
    transaction: when it has returned, a power cut does not undo it.

    Parameters
    ----------
    url : str
        An SQLAlchemy URL of an SQLite file or a PostgreSQL database; tables are made when
        they are missing.
    """
