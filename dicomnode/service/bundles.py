"""Are the model bundles there and whole? Asked in a worker, so that the node stays light."""

from pathlib import Path

from dicomnode.inference.models import load_models

__all__ = ["model_names"]


def model_names(directory: Path) -> list[str]:
    """Load every bundle that an analysis needs, and name them."""
    return [f"{use.name} {use.version}" for use in load_models(directory).uses]
