"""The patient geometry, which ultrasound does not have, that a SEG pretends to."""

from typing import Literal

__all__ = ["ORIENTATION", "ORIGIN", "Geometry"]

Geometry = Literal["orientation", "full"]
"""The plane's orientation only, or its position too ("full": for 3D Slicer)."""
ORIENTATION = [1, 0, 0, 0, 1, 0]
ORIGIN = [0, 0, 0]
"""The plane that viewers ask for."""
