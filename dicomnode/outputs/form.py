"""What is written of a result beside what always is, and how: chosen by site or command."""

from dataclasses import dataclass
from typing import Literal, get_args

from dicomnode.dicom.results.geometry import Geometry

__all__ = ["EXTRAS", "USUAL", "Extra", "Form", "Geometry"]

Extra = Literal["pdf", "parametric", "presentation"]
"""Objects that are made only where someone asks for them."""
EXTRAS: tuple[Extra, ...] = get_args(Extra)


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form of a result.

    Attributes
    ----------
    extras : frozenset of str
        Of :data:`EXTRAS`, those that are made.
    seg_geometry : str
        How much of a patient geometry the SEGs pretend to: "full" for 3D Slicer.
    """

    extras: frozenset[Extra] = frozenset()
    seg_geometry: Geometry = "orientation"


USUAL = Form()
"""What is written where nobody asks for anything else."""
