"""Every document of this folder as text, by file name."""

from collections.abc import Mapping

from conformance.dumps import seg_dump, sr_dump
from conformance.exam import cases
from conformance.integration import integration
from conformance.statement import statement

__all__ = ["documents"]


def documents() -> Mapping[str, str]:
    """Return all texts that depend on the code alone, not on programs that are installed."""
    made = cases()
    return {
        "statement.md": statement(made),
        "integration.md": integration(made.base),
        "seg.txt": seg_dump(made.base),
        "sr.txt": sr_dump(made.base),
    }
