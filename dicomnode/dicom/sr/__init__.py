"""The structured report, TID 1500."""

from dicomnode.dicom.sr.document import refusal, report

__all__ = ["refusal", "report"]
