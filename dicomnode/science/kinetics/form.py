"""The form of fitted curves: peak, areas and tangents, from which parameters are read."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.kinetics.shapes import Family

__all__ = ["CurveForm"]

Floats = NDArray[np.float64]

_EARLIEST = 1e-9
"""Share of the time to peak that stands for "at arrival"."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveForm:
    """N curves of one family, each from its own onset.

    Attributes
    ----------
    family : Family
    peak : ndarray of float64, shape (N,)
        Highest echo power above baseline.
    tp_s : ndarray
        Time from onset to peak.
    curvature : ndarray
        As in :mod:`dicomnode.science.kinetics.shapes`.
    """

    family: Family
    peak: Floats
    tp_s: Floats
    curvature: Floats

    @cached_property
    def area(self) -> Floats:
        """Area under the whole curve."""
        return self.peak * self.tp_s * self.family.area(self.curvature)

    @cached_property
    def mean_s(self) -> Floats:
        """Time from onset to the centre of mass."""
        return self.tp_s * self.family.mean(self.curvature)

    @cached_property
    def rise(self) -> "Tangent":
        """The steepest tangent before the peak."""
        return self._tangents[0]

    @cached_property
    def fall(self) -> "Tangent":
        """The steepest tangent after the peak."""
        return self._tangents[1]

    @cached_property
    def share_at_peak(self) -> Floats:
        """Share of the area that lies before the peak."""
        return self.family.share(self.curvature, np.ones_like(self.curvature))

    def washed_out(self, at_s: Floats) -> Floats:
        """Share of the peak that is gone at a time after the onset; 0 before the peak."""
        late = np.log(np.maximum(at_s / self.tp_s, 1.0))
        return np.asarray(-np.expm1(self.family.log_height(late, self.curvature)))

    @cached_property
    def _tangents(self) -> tuple["Tangent", ...]:
        family, curvature = self.family, self.curvature
        tangents = []
        for u in family.steepest(curvature):
            slope, height = family.slopes(u, curvature)[0], family.log_height(u, curvature)
            tangent = np.exp(u) * (1 - 1 / slope)
            tangents.append(
                Tangent(
                    height=self.peak * np.exp(height),
                    relative_slope=slope / (self.tp_s * np.exp(u)),
                    base_s=self.tp_s * tangent,
                    share=family.share(curvature, np.maximum(tangent, _EARLIEST)),
                )
            )
        return tuple(tangents)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tangent:
    """Where a curve is steepest.

    Attributes
    ----------
    height : ndarray of float64, shape (N,)
        Of the curve there.
    relative_slope : ndarray
        Slope over height, per second; negative where the curve falls.
    base_s : ndarray
        Time from onset to where the tangent meets the baseline.
    share : ndarray
        Share of the area that lies before that.
    """

    height: Floats
    relative_slope: Floats
    base_s: Floats
    share: Floats
