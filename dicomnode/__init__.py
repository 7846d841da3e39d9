"""A DICOM node for contrast-enhanced ultrasound of the breast: research use, decision support."""

__version__ = "0.1.0"
