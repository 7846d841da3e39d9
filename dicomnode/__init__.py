"""A DICOM node for contrast-enhanced ultrasound of the breast: research use, decision support.

``dicomnode.analyse``, ``simulate`` and ``load_models`` are the method for researchers; what they
need is loaded when one of them is first asked for (:mod:`dicomnode.api`).
"""

import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicomnode.version import __version__

if TYPE_CHECKING:
    from dicomnode.api import analyse, load_models, simulate

__all__ = ["__version__", "analyse", "load_models", "simulate"]


def _keep_to_ourselves() -> None:
    """Tell libraries what they read while they are imported; this module comes before them all.

    onnxruntime would write an identifier into the user's home and look up a telemetry host.
    matplotlib would read the user's style, which would change reports, and make a folder for it.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    with suppress(RuntimeError):  # nobody's home
        cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        os.environ.setdefault("MPLCONFIGDIR", str(Path(cache, "dicomnode", "matplotlib")))


_keep_to_ourselves()


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("dicomnode.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
