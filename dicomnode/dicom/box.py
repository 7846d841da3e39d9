"""A rectangle of pixels."""

from dataclasses import dataclass

__all__ = ["Box", "around"]


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle of an image: first row and column, and how many of each.

    Where a vendor's region and the image disagree by a pixel, the box is the part inside.
    """

    row: int
    column: int
    rows: int
    columns: int

    def __post_init__(self) -> None:
        if self.row < 0 or self.column < 0 or self.rows < 1 or self.columns < 1:
            raise ValueError(f"box: expected a non-empty rectangle inside an image, got {self}")

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array whose first two axes are row and column."""
        return (
            slice(self.row, self.row + self.rows),
            slice(self.column, self.column + self.columns),
        )

    @property
    def area(self) -> int:
        """Pixels inside."""
        return self.rows * self.columns

    def within(self, other: "Box") -> "Box":
        """The same rectangle, in coordinates that start at ``other``'s corner."""
        return Box(
            row=self.row - other.row,
            column=self.column - other.column,
            rows=self.rows,
            columns=self.columns,
        )

    def overlap(self, other: "Box") -> int:
        """Pixels that both contain."""
        rows = min(self.row + self.rows, other.row + other.rows) - max(self.row, other.row)
        columns = min(self.column + self.columns, other.column + other.columns) - max(
            self.column, other.column
        )
        return max(rows, 0) * max(columns, 0)


def around(*boxes: Box) -> Box:
    """The smallest box that contains all of ``boxes``."""
    row = min(box.row for box in boxes)
    column = min(box.column for box in boxes)
    return Box(
        row=row,
        column=column,
        rows=max(box.row + box.rows for box in boxes) - row,
        columns=max(box.column + box.columns for box in boxes) - column,
    )
