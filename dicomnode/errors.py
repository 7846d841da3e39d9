"""Every error this package raises, in one tree.

::

    DicomnodeError
    ├── SettingsError        the settings file or the command line is wrong
    ├── InputError           one file cannot be used: names file, tag, expected, found
    │   └── BrokenClipError      one clip of an exam: the others may be analysed without it
    ├── RefusedError         the exam was read and must not be analysed: a result, with reasons
    ├── BundleError          a model bundle is missing, tampered with or of another shape
    ├── OutputError          a result object cannot be built
    ├── StoreError           spool or ledger could not do what durability needs
    │   ├── TransitionError  a state change whose old state no longer holds
    │   └── DamagedError     a kept file is gone, or its bytes are not those that were kept
    └── NetworkError         a peer could not be reached or did not accept
        ├── UnreachableError     no connection, timed out, aborted: worth a retry
        └── RejectedError        the peer said no for good: a person must look

A class says what to do next: ``retryable`` for the machine, ``hint`` for the person.
"""

from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BrokenClipError",
    "BundleError",
    "DamagedError",
    "DicomnodeError",
    "InputError",
    "NetworkError",
    "OutputError",
    "Reason",
    "RefusedError",
    "RejectedError",
    "SettingsError",
    "StoreError",
    "TransitionError",
    "UnreachableError",
    "printable",
]


def printable(text: str, *, lines: bool = False) -> str:
    r"""Write a text that may be a sender's so that nothing in it is a command.

    Control characters, line breaks (but ``\n`` with ``lines``), marks that turn the direction of
    writing and what no encoding can hold are shown by their escapes, such as ``\x1b``.
    """
    return "".join(
        one
        if one.isprintable() or (lines and one == "\n")
        else one.encode("unicode_escape").decode("ascii")
        for one in text
    )


@dataclass(frozen=True)
class Reason:
    """Why something was refused: a stable ``code`` for machines and a ``text`` for people.

    The code is kebab-case ("no-timing"); the text names what was expected and what was found and
    carries no patient data.
    """

    code: str
    text: str

    def __post_init__(self) -> None:
        """Keep to one line: file names and values of a sender are quoted here."""
        object.__setattr__(self, "text", printable(self.text))


class DicomnodeError(Exception):
    """Anything this package raises on purpose."""

    retryable = False
    hint = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(printable(message, lines=True))
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class SettingsError(DicomnodeError):
    """The settings or the command line ask for something that cannot be done."""


class InputError(DicomnodeError):
    """One file cannot be used.

    Parameters
    ----------
    code : str
        Stable kebab-case code, the same as the resulting :class:`Reason`'s.
    message : str
        What was expected, what was found, where (file name and DICOM tag).
    """

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code

    @property
    def reason(self) -> Reason:
        """The same, as a reason that a ledger or a result can hold."""
        return Reason(self.code, str(self))


class BrokenClipError(InputError):
    """A clip that was taken for a part of an exam turned out to be unusable.

    Parameters
    ----------
    path : Path
        Its file.
    reason : Reason
        What is wrong with it.
    """

    def __init__(self, path: Path, reason: Reason) -> None:
        super().__init__(reason.code, reason.text)
        self.path = path


class RefusedError(DicomnodeError):
    """The exam was understood and must not be analysed. Not a failure: a result with reasons."""

    def __init__(self, *reasons: Reason) -> None:
        super().__init__("; ".join(reason.text for reason in reasons))
        self.reasons = reasons


class BundleError(DicomnodeError):
    """A model bundle is missing, was changed since its manifest was written, or does not fit."""

    hint = "run `dicomnode models verify`"


class OutputError(DicomnodeError):
    """A result object could not be built from a source that was accepted."""


class StoreError(DicomnodeError):
    """The spool or the ledger could not keep its promise."""

    retryable = True


class TransitionError(StoreError):
    """A state change was asked for, but the row was no longer in the state it starts from."""

    retryable = False


class DamagedError(StoreError):
    """A file that the ledger knows is gone from the spool, or is not what was kept there.

    Parameters
    ----------
    code : str
        "file-missing" or "file-damaged"; the same as the resulting :class:`Reason`'s.
    message : str
        The file relative to the spool, what was expected of it and what was found.
    """

    retryable = False

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class NetworkError(DicomnodeError):
    """A peer did not do what was asked."""


class UnreachableError(NetworkError):
    """No association, a time-out or an abort: the same attempt may succeed later."""

    retryable = True


class RejectedError(NetworkError):
    """The peer refused for a reason that repeating will not change."""
