"""A DICOM node for contrast-enhanced ultrasound of the breast: research use, decision support."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
"""Read by onnxruntime while it is imported; nothing of ours is imported before this."""

__version__ = "0.1.0"

IMPLEMENTATION_CLASS_UID = "2.25.72987261679197289119590883945810993252"
IMPLEMENTATION_VERSION_NAME = f"DICOMNODE {__version__}"[:16]
"""What associations and files say of the software (PS3.7 D.3.3.2)."""
