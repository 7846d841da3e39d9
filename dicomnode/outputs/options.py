"""Options of a result's files: what is written beside what always is, chosen by site or command."""

from dataclasses import dataclass

from dicomnode.dicom.results.geometry import Geometry
from dicomnode.kinds import ON_REQUEST

__all__ = ["DEFAULT", "EVERYTHING", "ResultOptions"]


@dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """Which files a result has, and how they are written.

    Attributes
    ----------
    extras : frozenset of str
        Of the kinds that are made on request, those that are.
    seg_geometry : str
        How much of a patient geometry the SEGs pretend to: "full" for 3D Slicer.
    """

    extras: frozenset[str] = frozenset()
    seg_geometry: Geometry = "orientation"


DEFAULT = ResultOptions()
EVERYTHING = ResultOptions(extras=frozenset(ON_REQUEST))
