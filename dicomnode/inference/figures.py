"""Figures that a bundle carries, with what they were obtained on, and those that reports say."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    model_validator,
)

__all__ = ["HEADLINES", "Figure", "by_conditions", "headlines"]

HEADLINES = (
    "mean Dice",
    "mean lesion Dice",
    "mean pixel accuracy",
    "mean adjusted Rand index to the truth",
    "mean sub-region adjusted Rand index",
    "AUC",
    "sensitivity of the decided",
    "specificity of the decided",
    "expected calibration error, 10 bins",
    "conformal coverage, malignant",
    "conformal coverage, benign",
    "share indeterminate",
)
"""Names of the figures that every report of an analysed exam says of the models it is from."""

_DIGITS = 6
"""Decimals that are kept: more than anything prints, so that nothing is rounded twice."""

_Words = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1),
    AfterValidator(lambda words: " ".join(words.split()).rstrip(".")),
]
"""Words on one line, for a table and within a sentence."""

_Number = Annotated[FiniteFloat, AfterValidator(lambda value: round(value, _DIGITS))]


class Figure(BaseModel):
    """One measured figure and the conditions under which it was printed.

    ``low`` and ``high`` are the ends of its 95 % interval; ``count`` says how many exams or images
    of those in the conditions it rests on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: _Words
    value: _Number
    conditions: _Words
    low: _Number | None = None
    high: _Number | None = None
    count: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        """An interval has two ends, and the figure lies between them."""
        if self.low is None and self.high is None:
            return self
        if self.low is None or self.high is None:
            raise ValueError("low, high: expected both or neither")
        if not self.low <= self.value <= self.high:
            found = f"{self.low}, {self.value}, {self.high}"
            raise ValueError(f"expected low <= value <= high, got {found}")
        return self

    @property
    def number(self) -> str:
        """The value as a table prints it."""
        return f"{round(self.value, 4):g}"

    @property
    def interval(self) -> str:
        """The 95 % interval in words; empty where there is none."""
        return "" if self.low is None else f"{self.low:.3f} to {self.high:.3f}"

    @property
    def words(self) -> str:
        """The figure without its conditions."""
        remarks = [f"95 % {self.interval}"] if self.interval else []
        remarks += [] if self.count is None else [f"n = {self.count}"]
        return f"{self.name} {self.value:.3f}" + (f" ({', '.join(remarks)})" if remarks else "")


def by_conditions(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    """Put figures together that were obtained on the same."""
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(figure.conditions, []).append(figure)
    return found


def headlines(figures: Sequence[Figure]) -> tuple[str, ...]:
    """Put :data:`HEADLINES` into words, a sentence for all figures of the same conditions."""
    main = by_conditions(figure for figure in figures if figure.name in HEADLINES)
    return tuple(
        f"{'; '.join(figure.words for figure in together)}. Obtained on: {conditions}."
        for conditions, together in main.items()
    )
