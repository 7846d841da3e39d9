"""Write a bundle: the model file, its manifest, and the same in words on a card."""

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from dicomnode.inference.bundle import Bundle, Manifest
from dicomnode.inference.figures import Figure, by_conditions
from dicomnode.science.findings import from_simulation
from dicomnode.training.measured import Refusal

__all__ = [
    "OWN_CASES",
    "SIMULATED",
    "UNSIGNED",
    "Trained",
    "measured_with",
    "notice",
    "refusals",
    "write_bundle",
    "write_manifest",
]

UNSIGNED = "0" * 64
"""Digest of a manifest whose model is not written yet."""

SIMULATED = (
    "Figures from simulated exams are not clinical accuracy. Nothing here is clinically validated."
)

OWN_CASES = (
    "Figures are from the population that was learnt from: of no other site, and of no later "
    "patients. Nothing here is clinically validated."
)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The bundle's folder, the figures on its card, and the exams that could not be measured."""

    bundle: Path
    figures: tuple[Figure, ...]
    refused: tuple[Refusal, ...]


def notice(trained_on: str) -> str:
    """Say what figures are worth that were obtained on what a model was trained on."""
    return SIMULATED if from_simulation(trained_on) else OWN_CASES


def measured_with(bundles: Sequence[Bundle]) -> str:
    """Name the bundles whose answers a figure rests on; a remark to be added to its conditions."""
    names = [f"{each.name} {each.version} ({each.sha256[:8]})" for each in bundles]
    return f", measured with {' and '.join(names)}" if names else ""


def refusals(refused: Sequence[Refusal], exams: int) -> tuple[Figure, ...]:
    """Count the refused among so many ``exams`` by reason, for a card."""
    counts = Counter(code for each in refused for code in set(each.reasons))
    return tuple(
        Figure(name=f"refused: {code}", value=count, conditions=f"{exams} exams")
        for code, count in sorted(counts.items())
    )


def write_bundle(
    directory: Path, draft: Manifest, content: bytes, *, report: bytes | None = None
) -> Path:
    """Write ``content``, the manifest signed with its digest, and the card; return the folder.

    ``report`` is the PNG of a page on the training, for ``report.png``.
    """
    manifest = draft.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / manifest.file, content)
    write_manifest(directory, manifest)
    if report is not None:
        _write(directory / "report.png", report)
    return directory


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest of a model that lies there already, and the card."""
    table = manifest.model_dump(mode="json", exclude_none=True)
    _write(directory / "manifest.toml", tomli_w.dumps(table, multiline_strings=False).encode())
    _write(directory / "card.md", ("\n".join(_card(manifest)) + "\n").encode())


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
    yield f"**{notice(manifest.trained_on)}**"
    yield ""
    yield manifest.intended_use
    yield ""
    yield f"Task: {manifest.task}. Answer: {manifest.output}"
    yield f"Trained on {manifest.trained_on}. Licence: {manifest.licence}."
    if manifest.calibration is not None:
        exams, share = len(manifest.calibration.log_odds), manifest.calibration.prevalence
        yield f"Calibrated on {exams} exams, {share:.0%} malignant, which each answer assumes."
    yield ""
    yield "## Inputs"
    yield "| name | meaning | normalisation |"
    yield "|---|---|---|"
    yield from (f"| `{c.name}` | {c.meaning} | {c.normalisation} |" for c in manifest.inputs)
    yield ""
    yield "## Training data"
    yield from (f"- {s.name}. {s.citation} Licence: {s.licence}." for s in manifest.training_data)
    yield ""
    yield "## Figures"
    if not manifest.all_figures:
        yield "None."
        yield ""
    for conditions, figures in by_conditions(manifest.all_figures).items():
        yield f"Obtained on: {conditions}."
        yield ""
        yield "| figure | value | 95 % interval | n |"
        yield "|---|---|---|---|"
        yield from map(_row, figures)
        yield ""
    yield f"sha256 `{manifest.sha256}`"


def _row(figure: Figure) -> str:
    count = "" if figure.count is None else figure.count
    name = figure.name.replace("|", "\\|")
    return f"| {name} | {figure.number} | {figure.interval} | {count} |"
