"""Functions by name: what they need is loaded in the process that runs them, not before."""

import pkgutil
from dataclasses import dataclass
from typing import Any

__all__ = ["Named"]


@dataclass(frozen=True)
class Named:
    """A function by its name, ``package.module:function``, found when it is called."""

    name: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Import what is named, and call it."""
        return pkgutil.resolve_name(self.name)(*args, **kwargs)
