"""Recipe of one simulated exam: every choice that is not a dice roll of its seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PRESETS",
    "Bolus",
    "Display",
    "Echo",
    "ExamRecipe",
    "Geometry",
    "LesionPlan",
    "Pane",
    "Tissue",
]

Kind = Literal["malignant", "benign"]
Model = Literal["lognormal", "ldrw", "fpt", "gamma_variate", "lagged_normal"]


@dataclass(frozen=True, kw_only=True)
class Pane:
    """Size of one pane and its clock. A clip is a run of frames; the scanner pauses between two."""

    rows: int = 300
    columns: int = 360
    spacing_mm: float = 0.1
    frames: int = 360
    frames_per_s: float = 5.0
    clips: int = 1
    gap_s: float = 4.0
    jitter: float = 0.0
    """Relative spread of the frame intervals; above zero a clip carries a FrameTimeVector."""


PRESETS: Mapping[str, Pane] = {
    "full": Pane(),
    "small": Pane(rows=160, columns=192, spacing_mm=0.1875, frames=110, frames_per_s=1.5),
}
"""A whole exam, and one light enough to train on by the hundred."""


@dataclass(frozen=True, kw_only=True)
class LesionPlan:
    """Outline and inner structure of the lesion."""

    size_mm: float = 14.0
    aspect: float = 1.5
    """Width over height."""
    irregularity: float = 0.05
    spicules: int = 0
    fractions: tuple[float, float, float, float, float] = (0.0, 0.1, 0.6, 0.2, 0.1)
    """Share of each habitat, in the order of :data:`dicomnode.simulation.habitats.HABITATS`."""
    core_to_rim: tuple[int, int, int, int, int] = (1, 2, 3, 4, 5)
    """The habitats in the order in which they lie from the core outwards."""
    rim_weight: float = 0.5
    """1: concentric shells; 0: patches without relation to the edge."""
    gain: float = 1.0
    """Factor on the perfusion of the whole lesion."""
    enlargement: float = 0.0
    """Enhanced area beyond the B-mode edge as a fraction of the B-mode area."""
    feeding_vessels: int = 1
    contrast_db: float = -12.0
    """Echogenicity of the lesion against the gland on B-mode."""
    posterior_db: float = 0.0
    """Shadow (negative) or enhancement (positive) behind the lesion."""


@dataclass(frozen=True, kw_only=True)
class Bolus:
    """How the contrast agent comes and goes in this patient."""

    model: Model = "lognormal"
    dose: float = 1.0
    """Factor on every echo of this patient."""
    time_scale: float = 1.0
    arrival_s: float = 10.0
    recirculation: float = 0.12
    """Height of the second pass as a fraction of the first."""
    recirculation_delay_s: float = 22.0
    destruction_per_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Echo:
    """Speckle of the contrast pane."""

    looks: int = 2
    persistence: float = 0.3
    """AR(1) coefficient of the scatterer field from one frame to the next."""
    bubbles_per_mm2: float = 12.0
    """Bubbles that carry the echo at the gland's usual peak; few make sparse grains."""
    diffuse: float = 0.3
    """Share of the agent that is too finely spread to show as grains."""
    psf_mm: tuple[float, float] = (0.11, 0.17)
    """Standard deviation of the point spread amplitude, axial and lateral."""
    noise_db: float = 7.0
    """Noise floor above the bottom of the dynamic range."""
    clutter_db: float = -16.0
    """Residual tissue echo of the brightest reflectors against full scale."""
    attenuation_db_per_cm: float = 0.8
    shimmer: float = 0.7
    """Log standard deviation of the vessel-scale texture."""


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """Motion of the tissue under the probe."""

    breathing_hz: float = 0.25
    breathing_mm: float = 0.8
    """Peak to peak."""
    drift_mm: float = 0.5
    out_of_plane_mm: float = 0.3
    correlation_mm: float = 1.5
    """Elevational distance at which the tissue's speckle has become another."""

    @property
    def reach_mm(self) -> float:
        """Farthest that the tissue goes from its place, whatever the dice say."""
        return 0.9 * self.breathing_mm + 1.2 * self.drift_mm


@dataclass(frozen=True, kw_only=True)
class Display:
    """How the scanner shows and stores the panes."""

    layout: str = "mono-left"
    tint: str = "amber"
    dynamic_range_db: float = 60.0
    transfer_syntax: Literal["jpeg", "rle", "explicit"] = "jpeg"
    full_scale: float = 16.0
    """Echo power shown as grey 255, in units of habitat 3's usual peak."""


@dataclass(frozen=True)
class Geometry:
    """A real B-mode lesion to build on: the picture and the lesion's mask in it.

    Attributes
    ----------
    image : ndarray of uint8, shape (H, W)
        B-mode grey level; structure and background are taken from it, speckle is made anew.
    mask : ndarray of bool, shape (H, W)
        The lesion. It is scaled so that its longer side is the recipe's ``size_mm``.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.image.ndim != 2 or self.image.shape != self.mask.shape:
            raise ValueError(
                "geometry: expected a grey image and a mask of the same two axes, "
                f"got {self.image.shape} and {self.mask.shape}"
            )
        if not self.mask.any():
            raise ValueError("geometry: expected a lesion in the mask, it is empty")


@dataclass(frozen=True, kw_only=True)
class ExamRecipe:
    """One exam. The same recipe gives the same bytes."""

    kind: Kind
    seed: int
    pane: Pane = field(default_factory=Pane)
    lesion: LesionPlan = field(default_factory=LesionPlan)
    bolus: Bolus = field(default_factory=Bolus)
    echo: Echo = field(default_factory=Echo)
    tissue: Tissue = field(default_factory=Tissue)
    display: Display = field(default_factory=Display)
    injection: int = 1
    """A later injection shows the same patient again, with other bubbles and other motion."""
    contrast_agent: bool = True
    """False: the same pictures without an injection, for tests of refusal."""

    def with_overrides(self, **overrides: Any) -> "ExamRecipe":
        """Replace single fields by name, in whichever part of the recipe holds them."""
        recipe = self
        for name, value in overrides.items():
            recipe = _override(recipe, name, value)
        return recipe


_PARTS = ("pane", "lesion", "bolus", "echo", "tissue", "display")


def _override(recipe: ExamRecipe, name: str, value: Any) -> ExamRecipe:
    if name in {f.name for f in fields(recipe)}:
        return replace(recipe, **{name: value})
    for part_name in _PARTS:
        part = getattr(recipe, part_name)
        if name in {f.name for f in fields(part)}:
            return replace(recipe, **{part_name: replace(part, **{name: value})})
    raise ValueError(f"recipe: no field is called {name!r}; see dicomnode.simulation.recipe")
