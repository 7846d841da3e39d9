"""What is written of a result beside what always is, and how: chosen by site or command."""

from dataclasses import dataclass

from dicomnode.dicom.results.geometry import Geometry

__all__ = ["USUAL", "Form"]


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form of a result.

    Attributes
    ----------
    extras : frozenset of str
        Of the kinds that are made on request, those that are.
    seg_geometry : str
        How much of a patient geometry the SEGs pretend to: "full" for 3D Slicer.
    """

    extras: frozenset[str] = frozenset()
    seg_geometry: Geometry = "orientation"


USUAL = Form()
"""What is written where nobody asks for anything else."""
