"""Write a bundle: the model file, its manifest, and the same in words on a card."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tomli_w

from dicomnode.inference.bundle import Manifest

__all__ = ["SIMULATED", "UNSIGNED", "write_bundle"]

UNSIGNED = "0" * 64
"""Digest of a manifest whose model is not written yet."""

SIMULATED = (
    "Figures from simulated exams are not clinical accuracy. Nothing here is clinically validated."
)


def write_bundle(directory: Path, draft: Manifest, content: bytes) -> Path:
    """Write ``content``, the manifest signed with its digest, and the card; return the folder."""
    manifest = draft.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / manifest.file, content)
    table = manifest.model_dump(mode="json", exclude_none=True)
    _write(directory / "manifest.toml", tomli_w.dumps(table, multiline_strings=False).encode())
    _write(directory / "card.md", ("\n".join(_card(manifest)) + "\n").encode())
    return directory


def _write(path: Path, content: bytes) -> None:
    """Replace a file whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)


def _card(manifest: Manifest) -> Iterator[str]:
    yield f"# {manifest.name} {manifest.version}"
    yield ""
    yield f"**{SIMULATED}**"
    yield ""
    yield manifest.intended_use
    yield ""
    yield f"Task: {manifest.task}. Answer: {manifest.output}"
    yield f"Trained on {manifest.trained_on}. Licence: {manifest.licence}."
    yield ""
    yield "## Inputs"
    yield "| name | meaning | normalisation |"
    yield "|---|---|---|"
    yield from (f"| `{c.name}` | {c.meaning} | {c.normalisation} |" for c in manifest.inputs)
    yield ""
    yield "## Training data"
    yield from (f"- {s.name}. {s.citation} Licence: {s.licence}." for s in manifest.training_data)
    yield ""
    yield "## Figures, with their conditions"
    yield "| figure | value | conditions |"
    yield "|---|---|---|"
    yield from (f"| {f.name} | {f.value:g} | {f.conditions} |" for f in manifest.figures)
    yield ""
    yield f"sha256 `{manifest.sha256}`"
