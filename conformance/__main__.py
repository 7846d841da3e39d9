"""``python -m conformance``: write every document of this folder again, and the schema in docs/."""

import sys
from pathlib import Path

from conformance.generate import documents, result_schema
from conformance.validators import judgements, missing_tools

FOLDER = Path(__file__).resolve().parent
RESULT_SCHEMA = FOLDER.parent / "docs" / "result.schema.json"


def main() -> int:
    """Write the documents; the validators' judgement only where the validators are."""
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    RESULT_SCHEMA.write_text(result_schema(), encoding="utf-8")
    if missing := missing_tools():
        print(f"validators.md is left as it is: not installed are {', '.join(missing)}")
    else:
        (FOLDER / "validators.md").write_text(judgements(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
