"""The interface of a way of delivery: it answers delivered, later or never, and why."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicomnode.network.statuses import Verdict

__all__ = ["Answer", "Delivered", "Surroundings", "Transport"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one file.

    Attributes
    ----------
    reason : str
        In words, one line: why it was not taken, or with which reservation it was.
    code : str
        The answer as the destination's protocol writes it; empty where none came.
    """

    path: Path
    verdict: Verdict
    reason: str = ""
    code: str = ""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What became of several files.

    Attributes
    ----------
    answers : tuple of Answer
        One for each file.
    receipt : str, optional
        What the destination will call them when it confirms later that it keeps them, once it
        is asked to; None where it is not to be asked.
    """

    answers: tuple[Answer, ...]
    receipt: str | None = None


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the node lends to every way.

    Attributes
    ----------
    calling_ae : str
        The node's AE title.
    work : Path
        A directory on the spool's file system for what is made on the way.
    tls : callable
        Loads the certificates of the settings.
    """

    calling_ae: str
    work: Path
    tls: Callable[[], ssl.SSLContext]


class Transport(Protocol):
    """A way to one destination."""

    def deliver(self, files: Sequence[Path]) -> Delivered:
        """Bring files there; whatever goes wrong, each has an answer."""

    def check(self) -> str:
        """See whether it answers; say in a few words how it did.

        Raises
        ------
        NetworkError
            It does not.
        """

    def ask_receipt(self, instances: Sequence[tuple[str, str]], receipt: str) -> None:
        """Ask it to confirm what was recorded as delivered.

        Parameters
        ----------
        instances : sequence of (str, str)
            SOP Class UID and SOP Instance UID.

        Raises
        ------
        NetworkError
            It did not take the question.
        """
