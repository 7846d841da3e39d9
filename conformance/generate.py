"""Every document of this folder as text, by file name."""

import json
from collections.abc import Mapping

from conformance.dumps import seg_dump, sr_dump
from conformance.exam import cases
from conformance.integration import integration
from conformance.statement import statement
from dicomnode.record.schema import Record

__all__ = ["documents", "result_schema"]


def documents() -> Mapping[str, str]:
    """Return all texts that depend on the code alone, not on programs that are installed."""
    made = cases()
    return {
        "statement.md": statement(made),
        "integration.md": integration(made.base),
        "seg.txt": seg_dump(made.base),
        "sr.txt": sr_dump(made.base),
    }


def result_schema() -> str:
    """Return the JSON Schema of ``result.json``, which lies in docs/."""
    schema = Record.model_json_schema(mode="serialization")
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
