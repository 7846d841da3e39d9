"""One line of a benchmark's table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str
    value: str
    note: str

    def __str__(self) -> str:
        return f"{self.name:<54} {self.value:>12}   {self.note}"
