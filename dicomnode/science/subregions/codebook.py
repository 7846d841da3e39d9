"""The population codebook: which perfusion sub-regions there are, the same for every patient."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURE_NAMES", "KINDS", "Codebook", "kind", "names_for"]

Floats = NDArray[np.float64]

FEATURE_NAMES: tuple[str, ...] = (
    "log relative PE",
    "relative delay",
    "log relative FT",
    "log relative RT",
)
"""The axes of feature space; see :func:`dicomnode.science.subregions.pixel_features`."""

KINDS: tuple[str, ...] = (
    "non-perfused",
    "slow low",
    "intermediate",
    "fast in slow out",
    "fast in fast out",
)
"""The kinds of sub-region; a codebook of six splits "intermediate" in two."""

_NAMES: dict[int, tuple[str, ...]] = {
    5: KINDS,
    6: (*KINDS[:2], "intermediate slower", "intermediate faster", *KINDS[3:]),
}
_FORMAT = "dicomnode codebook"
_VERSION = 2


def names_for(count: int) -> tuple[str, ...]:
    """Names of ``count`` sub-regions in the order of their numbers; 5 or 6."""
    if count not in _NAMES:
        raise ValueError(f"count: expected 5 or 6 sub-regions, got {count}")
    return _NAMES[count]


def kind(name: str) -> str:
    """Give the kind, one of :data:`KINDS`, that a sub-region's name belongs to."""
    for each in KINDS:
        if name == each or name.startswith(f"{each} "):
            return each
    raise ValueError(f"name: expected one of {KINDS} or a variant of it, got {name!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Codebook:
    """A frozen Gaussian mixture in feature space, with the settings that turn it into a map.

    Attributes
    ----------
    features : tuple of str
        The D axes of feature space.
    names : tuple of str
        The K sub-regions; number k is ``names[k - 1]``.
    means, covariances, weights : ndarray of float64, shape (K, D), (K, D, D), (K,)
        The mixture.
    beta : float
        Strength of the Potts prior between neighbouring pixels.
    min_area_mm2 : float
        Smaller specks are merged into what surrounds them.
    min_qof : float
        Pixels with a lower quality of fit are unreliable.
    patients : int
        How many it was trained on.
    stability : tuple of (int, float)
        Split-half adjusted Rand index of each K tried.
    """

    features: tuple[str, ...]
    names: tuple[str, ...]
    means: Floats
    covariances: Floats
    weights: Floats
    beta: float = 1.2
    min_area_mm2: float = 1.0
    min_qof: float = 0.05
    patients: int = 0
    stability: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        if self.features != FEATURE_NAMES:
            raise ValueError(f"features: expected {FEATURE_NAMES}, got {self.features}")
        count, axes = len(self.names), len(self.features)
        for name, shape in (
            ("means", (count, axes)),
            ("covariances", (count, axes, axes)),
            ("weights", (count,)),
        ):
            values = getattr(self, name)
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f"{name}: expected finite numbers of shape {shape}, got {values}")
        if not (np.linalg.eigvalsh(self.covariances) > 0).all():
            raise ValueError("covariances: expected positive definite matrices")
        if not ((self.weights > 0).all() and abs(self.weights.sum() - 1) < 1e-6):
            raise ValueError(f"weights: expected positive, with sum 1, got {self.weights}")
        for sub_region in self.names:
            kind(sub_region)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kind of each sub-region, in the order of their numbers."""
        return tuple(kind(name) for name in self.names)

    def to_json(self) -> str:
        """Write as indented JSON; :meth:`from_json` gives the same codebook back exactly."""
        fields = {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in asdict(self).items()
        }
        return json.dumps({"format": _FORMAT, "version": _VERSION, **fields}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Codebook":
        """Read what :meth:`to_json` wrote; ``ValueError`` says what does not fit."""
        fields: Any = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError(f"codebook: expected a JSON object, got {type(fields).__name__}")  # noqa: TRY004
        found = fields.pop("format", None), fields.pop("version", None)
        if found != (_FORMAT, _VERSION):
            raise ValueError(f"codebook: expected {_FORMAT!r} version {_VERSION}, got {found}")
        return cls(
            features=tuple(fields.pop("features")),
            names=tuple(fields.pop("names")),
            means=np.asarray(fields.pop("means"), np.float64),
            covariances=np.asarray(fields.pop("covariances"), np.float64),
            weights=np.asarray(fields.pop("weights"), np.float64),
            stability=tuple((int(k), float(ari)) for k, ari in fields.pop("stability")),
            **fields,
        )
