"""Version of the software, and how associations and files name it."""

__all__ = ["IMPLEMENTATION_CLASS_UID", "IMPLEMENTATION_VERSION_NAME", "__version__"]

__version__ = "0.1.0"

IMPLEMENTATION_CLASS_UID = "2.25.72987261679197289119590883945810993252"
IMPLEMENTATION_VERSION_NAME = f"DICOMNODE {__version__}"[:16]
"""PS3.7 D.3.3.2."""
