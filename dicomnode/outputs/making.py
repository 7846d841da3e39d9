"""The argument of the builders of result objects."""

from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from dicomnode.dicom.context import Context
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.results.geometry import Geometry
from dicomnode.science.findings import Findings

__all__ = ["Making"]


@dataclass(frozen=True, kw_only=True)
class Making:
    """An exam, what was measured in it, and where the object's file will lie.

    Attributes
    ----------
    seg_geometry : str
        How much of a patient geometry segmentations pretend to.
    earlier : tuple of Dataset
        The result's objects that were made before this one; a loop's without its pixels.
    """

    exam: Exam
    findings: Findings
    context: Context
    path: Path
    seg_geometry: Geometry
    earlier: tuple[Dataset, ...]

    def saved(self, dataset: Dataset) -> Dataset:
        """Write the file of an object, and give the object."""
        dataset.save_as(self.path, enforce_file_format=True)
        return dataset
