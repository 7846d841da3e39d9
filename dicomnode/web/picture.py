"""Results that are pictures, as a browser can show them."""

import io
from pathlib import Path

from PIL import Image
from pydicom import dcmread

__all__ = ["png"]


def png(path: Path) -> bytes:
    """Turn a Secondary Capture into a PNG, from the very bytes that were delivered."""
    picture = Image.fromarray(dcmread(path).pixel_array)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
