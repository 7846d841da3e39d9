"""Labels that sub-region maps share with everything made from them."""

__all__ = ["UNRELIABLE"]

UNRELIABLE = 255
"""Label of lesion pixels whose fit is too poor to say anything."""
