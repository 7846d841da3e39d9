"""Put an evaluation's figures onto the cards of the bundles that were evaluated."""

import os
from collections.abc import Iterator
from pathlib import Path

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Bundle, load
from dicomnode.inference.figures import Figure
from dicomnode.inference.models import BUNDLES
from dicomnode.training.card import measured_with, write_manifest
from dicomnode.training.evaluation.bundles import Evaluation

__all__ = ["may_be_recorded", "record"]


def may_be_recorded(models: Path) -> None:
    """Find out before an evaluation whether its figures could be written.

    Raises
    ------
    BundleError
        A bundle is missing or broken, or its folder may not be written to.
    """
    for name in BUNDLES:
        load(models / name)
        if not os.access(models / name, os.W_OK):
            raise BundleError(
                f"--record: expected to be allowed to write into {models / name}",
                hint="copy the bundles to a folder of your own, and name it by --models",
            )


def record(found: Evaluation, models: Path) -> tuple[Path, ...]:
    """Write the figures, in place of earlier ones of that cohort; return the cards.

    Each bundle gets the figures of its task. Manifest and card are written anew: comments in a
    manifest, and what somebody added to a card, are lost.

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
    conditions = found.conditions + measured_with(before)
    for score in found.figures:
        if score.task == bundle.task:
            yield Figure(
                name=score.name, value=score.value, conditions=conditions,
                low=score.low, high=score.high, count=score.count,
            )  # fmt: skip
