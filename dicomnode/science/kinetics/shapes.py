"""Families of bolus curves in one form, so that one kernel fits them all.

Seconds after arrival x are taken relative to the time to peak tp, u = ln(x / tp), and a curve is

    f(x) = PE · exp g(u),    g(u) = a u² + b u + c (e^u − 1) + d (e^−u − 1),

with g(0) = g'(0) = 0, so that PE is the peak, and g''(0) = −s: the same three numbers PE, tp and
curvature s mean the same thing in every family, and a fit of one is a start for another. a, b, c
and d are straight lines in s; they are what tells the families apart. Lognormal (s = 1/σ²) has only
a; the other three are generalised inverse Gaussian densities: gamma variate (α = s), local density
random walk and first passage time. Curves and areas: Strouthos et al., IEEE UFFC 2010;57:1296,
doi:10.1109/TUFFC.2010.1550.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaln, log_ndtr, ndtr

__all__ = ["FAMILIES", "LOGNORMAL", "Family", "lognormal_area"]

Floats = NDArray[np.float64]

_INFLEXION_STEPS = 12


def lognormal_area(curvature: Floats) -> Floats:
    """Area under a lognormal of unit peak and unit time to peak: √(2π) σ exp(σ²/2), σ² = 1/s."""
    return np.asarray(np.sqrt(2 * np.pi / curvature) * np.exp(0.5 / curvature))


def _lognormal_share(curvature: Floats, y: Floats) -> Floats:
    sigma = curvature**-0.5
    return np.asarray(ndtr(np.log(y) / sigma - sigma))


def _gamma_area(curvature: Floats) -> Floats:
    log_area = curvature + gammaln(curvature + 1) - (curvature + 1) * np.log(curvature)
    return np.asarray(np.exp(log_area))


def _gamma_share(curvature: Floats, y: Floats) -> Floats:
    return np.asarray(gammainc(curvature + 1, curvature * y))


def _diffusion(curvature: Floats, tilt: float) -> tuple[Floats, Floats, Floats]:
    """Late and early rate, and λ, of a random walk whose curve has ``-tilt`` as power of x."""
    late, early = (curvature - tilt) / 2, (curvature + tilt) / 2
    return late, early, 2 * np.sqrt(late * early)


def _diffusion_area(curvature: Floats, tilt: float) -> Floats:
    late, early, lam = _diffusion(curvature, tilt)
    scale = np.sqrt(np.pi / early) if tilt > 1 else np.sqrt(np.pi / late)
    return np.asarray(scale * np.exp(late + early - lam))


def _diffusion_share(curvature: Floats, tilt: float, y: Floats) -> Floats:
    """Distribution of the inverse Gaussian (first passage) or of its size-biased twin (LDRW)."""
    late, early, lam = _diffusion(curvature, tilt)
    ahead, behind = np.sqrt(2 * late * y), np.sqrt(2 * early / y)
    mirrored = np.exp(2 * lam + log_ndtr(-ahead - behind))
    return np.asarray(ndtr(ahead - behind) + (mirrored if tilt > 1 else -mirrored))


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of curves; ``y`` is x / tp and ``curvature`` is s, both dimensionless.

    Attributes
    ----------
    name : str
    square, power, late, early : (float, float)
        Intercept and slope in s of a, b, c and d above.
    least, most : float
        Range of s that is fitted: wide enough for tissue, and its mean transit time exists.
    area : callable
        ∫ f dx / (PE tp) of s.
    share : callable
        Share of that area before y, of (s, y).
    mean : callable
        Mean transit time / tp of s.
    """

    name: str
    square: tuple[float, float] = (0.0, 0.0)
    power: tuple[float, float] = (0.0, 0.0)
    late: tuple[float, float] = (0.0, 0.0)
    early: tuple[float, float] = (0.0, 0.0)
    least: float = 0.25
    most: float = 100.0
    area: Callable[[Floats], Floats] = field(repr=False)
    share: Callable[[Floats, Floats], Floats] = field(repr=False)
    mean: Callable[[Floats], Floats] = field(repr=False)

    @property
    def coefficients(self) -> Floats:
        """Intercepts and slopes of a, b, c, d; shape (4, 2)."""
        return np.array([self.square, self.power, self.late, self.early])

    def log_height(self, u: Floats, curvature: Floats) -> Floats:
        """Give g(u): ln(f / PE) at ``u = ln(x / tp)``."""
        a, b, c, d = self._at(curvature)
        height = a * u * u + b * u
        if any(self.late) or any(self.early):
            height = height + c * np.expm1(u) + d * np.expm1(-u)
        return np.asarray(height)

    def slopes(self, u: Floats, curvature: Floats) -> tuple[Floats, Floats, Floats]:
        """First three derivatives of g in u."""
        a, b, c, d = self._at(curvature)
        rising, falling = c * np.exp(u), d * np.exp(-u)
        return 2 * a * u + b + rising - falling, 2 * a + rising + falling, rising - falling

    def steepest(self, curvature: Floats) -> tuple[Floats, Floats]:
        """ln(x / tp) of the steepest rise and of the steepest fall.

        f'' = 0 where g'' − g' + g'² = 0: in closed form for the lognormal, from where Newton's
        method finds it for the others.
        """
        slope = np.sqrt(1 + 4 * curvature)
        found = []
        for u in ((-1 - slope) / (2 * curvature), (-1 + slope) / (2 * curvature)):
            for _ in range(0 if self.square[1] else _INFLEXION_STEPS):
                first, second, third = self.slopes(u, curvature)
                change = third - second + 2 * first * second
                u = u - np.clip((second - first + first * first) / change, -0.5, 0.5)
            found.append(u)
        return found[0], found[1]

    def _at(self, curvature: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        a, b, c, d = (start + slope * curvature for start, slope in self.coefficients)
        return a, b, c, d


LOGNORMAL = Family(
    name="lognormal",
    square=(0.0, -0.5),
    area=lognormal_area,
    share=_lognormal_share,
    mean=lambda s: np.exp(1.5 / s),
)
_GAMMA_VARIATE = Family(
    name="gamma variate",
    power=(0.0, 1.0),
    late=(0.0, -1.0),
    least=1.1,
    area=_gamma_area,
    share=_gamma_share,
    mean=lambda s: (s + 1) / s,
)
_LDRW = Family(
    name="LDRW",
    power=(-0.5, 0.0),
    late=(0.25, -0.5),
    early=(-0.25, -0.5),
    least=0.7,
    area=lambda s: _diffusion_area(s, 0.5),
    share=lambda s, y: _diffusion_share(s, 0.5, y),
    mean=lambda s: np.sqrt((s + 0.5) / (s - 0.5)) + 1 / (s - 0.5),
)
_FPT = Family(
    name="FPT",
    power=(-1.5, 0.0),
    late=(0.75, -0.5),
    early=(-0.75, -0.5),
    least=1.7,
    area=lambda s: _diffusion_area(s, 1.5),
    share=lambda s, y: _diffusion_share(s, 1.5, y),
    mean=lambda s: np.sqrt((s + 1.5) / (s - 1.5)),
)

FAMILIES: Mapping[str, Family] = {
    family.name: family for family in (LOGNORMAL, _GAMMA_VARIATE, _LDRW, _FPT)
}
"""Every family that is tried, by name."""
