"""Exams shared out among processes: what is measured does not depend on their number."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from rich.progress import track

__all__ = ["shared_out"]

Item = TypeVar("Item")
Found = TypeVar("Found")


def shared_out(
    work: Callable[[Item], Found], items: Sequence[Item], jobs: int, words: str
) -> Iterator[Found]:
    """Do one thing with every item and yield what is found, in their order, as it is there.

    Parameters
    ----------
    work : callable
        Function of a module, or a :func:`functools.partial` of one, where ``jobs`` is above 1.
    items : sequence
    jobs : int
        Processes, each of which imports what it needs once.
    words : str
        What the progress bar says.
    """
    if jobs == 1 or len(items) < 2:
        yield from track(map(work, items), words, total=len(items))
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(jobs, context) as pool:
        try:
            yield from track(pool.map(work, items), words, total=len(items))
        finally:
            pool.shutdown(cancel_futures=True)
