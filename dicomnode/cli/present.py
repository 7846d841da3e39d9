"""Presentation of the commands: for a person on a terminal, in plain lines where nobody looks."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from dicomnode.errors import printable

__all__ = ["busy", "console", "counted", "plain"]

PLAIN_WIDTH = 120


def console() -> Console:
    """Console of the current standard output; tables keep their width when nobody is looking."""
    found = Console(emoji=False)  # it would draw ":x:", which a sender may call itself
    return found if found.is_terminal else Console(width=PLAIN_WIDTH, soft_wrap=True, emoji=False)


def plain(text: object) -> str:
    """Write what a sender may have chosen so that it is neither markup nor a terminal's command."""
    return escape(printable(str(text)))


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Say that something is going on: a spinner on a terminal, a line otherwise."""
    out = console()
    if out.is_terminal:
        with out.status(text):
            yield
    else:
        out.print(text, highlight=False)
        yield


def counted(number: int, thing: str) -> str:
    """Write how many of a thing, such as "1 file" or "3 files"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
