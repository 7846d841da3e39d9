"""Figures that a bundle carries, with what they were obtained on, and those that reports say."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

__all__ = ["HEADLINES", "Figure", "headlines"]

HEADLINES = (
    "mean Dice",
    "mean lesion Dice",
    "pixel accuracy",
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
"""Names of the figures that every structured report says of the models it is from."""


class Figure(BaseModel):
    """One measured figure and the conditions under which it was printed.

    ``low`` and ``high`` are the ends of its 95 % interval; ``count`` says how many exams or images
    it rests on where the conditions do not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float
    conditions: str
    low: float | None = None
    high: float | None = None
    count: int | None = None

    @property
    def interval(self) -> str:
        """The 95 % interval in words; empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:.3f} to {self.high:.3f}"

    @property
    def words(self) -> str:
        """The figure without its conditions."""
        remarks = [f"95 % {self.interval}"] if self.interval else []
        remarks += [] if self.count is None else [f"n = {self.count}"]
        return f"{self.name} {self.value:.3f}" + (f" ({', '.join(remarks)})" if remarks else "")


def headlines(figures: Iterable[Figure]) -> tuple[str, ...]:
    """Put :data:`HEADLINES` into words, a sentence for all figures of the same conditions."""
    said: dict[str, list[str]] = {}
    for figure in figures:
        if figure.name in HEADLINES:
            said.setdefault(figure.conditions, []).append(figure.words)
    return tuple(
        f"{'; '.join(words)}. Obtained on: {conditions}." for conditions, words in said.items()
    )
