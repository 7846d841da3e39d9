"""The structured report, TID 1500."""

from dicomnode.dicom.results.sr.document import refusal, report

__all__ = ["refusal", "report"]
