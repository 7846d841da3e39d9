"""A quality rule, and the facts that rules measure: of the loop, and of the lesion once found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.faults import damaged, flashes, lifted
from dicomnode.science.loop import Loop
from dicomnode.science.sampling import Motion

__all__ = ["Facts", "Grade", "LesionFacts", "Rule", "Withheld", "once"]

_T = TypeVar("_T")

Grade = Literal["A", "B", "C", "D"]
Withheld = Literal["analysis", "answer", "sub-regions", "size"]
"""The whole result; the probability and what follows from it; the lesion's division into
sub-regions; how large it is."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LesionFacts:
    """The lesion as it was measured.

    Attributes
    ----------
    motion : Motion
        Of the loop.
    curve : ndarray of float64, shape (T,)
        Mean echo power of the lesion; NaN where a frame was left out.
    mask : ndarray of bool, shape (R, C)
        On the reference frame.
    uncertainty : float
        Of its outline, 0 to 1, as the segmenter has it.
    """

    motion: Motion
    curve: NDArray[np.float64]
    mask: NDArray[np.bool_]
    uncertainty: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """What rules measure; what several of them need is computed once."""

    loop: Loop
    found: LesionFacts | None = None
    """None as long as no lesion was looked for."""
    measured: dict[str, Any] = field(default_factory=dict, repr=False)
    """What :func:`once` keeps, by name of the function."""

    @property
    def lesion(self) -> LesionFacts:
        """The lesion, for rules that are not early."""
        assert self.found is not None, "only early rules are asked before the lesion is found"
        return self.found

    @cached_property
    def broken(self) -> NDArray[np.bool_]:
        """Frames (T,) that could not be read."""
        return damaged(self.loop)

    @cached_property
    def flash(self) -> NDArray[np.bool_]:
        """Frames (T,) that flash."""
        return flashes(self.loop) & ~self.broken

    @cached_property
    def lifted(self) -> NDArray[np.bool_]:
        """Frames (T,) without the probe on the skin."""
        return lifted(self.loop) & ~self.broken

    @cached_property
    def sound(self) -> NDArray[np.bool_]:
        """Frames (T,) with no fault of their own."""
        return ~(self.flash | self.lifted | self.broken)


def once(measure: Callable[[Facts], _T]) -> Callable[[Facts], _T]:
    """Measure the same facts once, however many rules and words need it."""

    @wraps(measure)
    def measured(facts: Facts) -> _T:
        name = f"{measure.__module__}.{measure.__qualname__}"
        if name not in facts.measured:
            facts.measured[name] = measure(facts)
        found: _T = facts.measured[name]
        return found

    return measured


def _nothing(_: Facts) -> Mapping[str, float | str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One check: what is measured, against which limit, and what failing means.

    Attributes
    ----------
    name, code : str
        Of the check; of the reason where it refuses or withholds.
    measure : callable
        Gives the value, or None where this loop cannot tell.
    limit, unit, bound
        The value is to be at least, or at most, the limit.
    message : str
        A format string over ``value``, ``limit`` and the ``terms``.
    failed_message : str
        Takes its place where the check fails and that needs other words.
    withholds : frozenset of str
        What an exam that fails it does not get.
    at_best : str
        The best grade of an exam that fails it, whatever else it passes.
    early : bool
        Whether it can be told from the loop alone, before motion and segmentation.
    """

    name: str
    code: str
    measure: Callable[[Facts], float | None]
    limit: float
    unit: str
    bound: Literal["at least", "at most"]
    message: str
    failed_message: str = ""
    terms: Callable[[Facts], Mapping[str, float | str]] = _nothing
    withholds: frozenset[Withheld] = frozenset()
    at_best: Grade = "B"
    early: bool = False

    @property
    def refuses(self) -> bool:
        """Whether an exam that fails it is not analysed."""
        return "analysis" in self.withholds
