"""Put an evaluation's figures onto the cards of the bundles that were evaluated."""

import os
from collections.abc import Iterator
from pathlib import Path

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Bundle, load
from dicomnode.inference.figures import Figure
from dicomnode.inference.models import BUNDLES
from dicomnode.training.card import write_manifest
from dicomnode.training.evaluation.bundles import Evaluation

__all__ = ["may_be_recorded", "record"]


DIGITS = 6
"""More than a card prints, so that nothing is rounded twice."""


def may_be_recorded(models: Path) -> None:
    """Find out before an evaluation whether its figures could be written.

    Raises
    ------
    BundleError
        A bundle's folder may not be written to.
    """
    for name in BUNDLES:
        if not os.access(models / name, os.W_OK):
            raise BundleError(
                f"--record: expected to be allowed to write into {models / name}",
                hint="copy the bundles to a folder of your own, and name it by --models",
            )


def record(found: Evaluation, models: Path) -> tuple[Path, ...]:
    """Write the figures, in place of earlier ones of that cohort; return the cards.

    Each bundle gets the figures of its task. A manifest is written anew: comments in it are lost.

    Raises
    ------
    BundleError
        The bundles are not those that were evaluated.
    """
    bundles = [load(models / name) for name in BUNDLES]
    for bundle, used in zip(bundles, found.uses, strict=True):
        if bundle.use != used:
            raise BundleError(
                f"--record: expected the bundle {used.name} {used.version} that was evaluated, "
                f"{bundle.path.parent} has changed since",
                hint="evaluate again; no figure was written",
            )
    for number, bundle in enumerate(bundles):
        figures = tuple(_figures(found, bundle, bundles[:number]))
        evaluated = {**bundle.manifest.evaluated, found.cohort: figures}
        manifest = bundle.manifest.model_copy(update={"evaluated": evaluated})
        write_manifest(bundle.path.parent, manifest)
    return tuple(bundle.path.parent / "card.md" for bundle in bundles)


def _figures(found: Evaluation, bundle: Bundle, before: list[Bundle]) -> Iterator[Figure]:
    conditions = found.conditions + _named(before)
    for score in found.figures:
        if score.task == bundle.task:
            yield Figure(
                name=score.name, value=round(score.value, DIGITS), conditions=conditions,
                low=_rounded(score.low), high=_rounded(score.high), count=score.count,
            )  # fmt: skip


def _named(before: list[Bundle]) -> str:
    """The bundles whose answers this one's are built on."""
    names = [f"{each.name} {each.version} ({each.sha256[:8]})" for each in before]
    return f", measured with {' and '.join(names)}" if names else ""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
