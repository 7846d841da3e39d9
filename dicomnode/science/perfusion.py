"""Perfusion of a lesion pixel by pixel: where it is measured, and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.curves import smooth_samples
from dicomnode.science.fit import Fit, fit_lognormal
from dicomnode.science.kinetics import evaluate
from dicomnode.science.loop import Loop, linearise, saturated
from dicomnode.science.sampling import Motion, gather

__all__ = ["Perfusion", "Regions", "measure_perfusion"]

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_TISSUE_PIXELS = 3000
"""Reference tissue is described by at most this many of its pixels, evenly spread."""


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Disjoint masks (R, C) on the reference frame: lesion, ring around it, reference tissue."""

    lesion: Mask
    ring: Mask
    tissue: Mask

    @property
    def measured(self) -> Mask:
        """Everything that is sampled."""
        measured: Mask = self.lesion | self.ring | self.tissue
        return measured


@dataclass(frozen=True, kw_only=True)
class Perfusion:
    """Samples, fit and kinetic parameters of the measured pixels.

    Attributes
    ----------
    power : ndarray of float32, shape (T, N)
        Echo power of the pixels of ``regions.measured`` in row-major order, motion-compensated,
        not smoothed.
    times_s : ndarray of float64, shape (T,)
    kept : ndarray of bool, shape (T,)
    fitted : ndarray of bool, shape (R, C)
        The M pixels that were fitted: lesion, ring and a part of the tissue.
    fit : Fit
        Of those M pixels.
    parameters : mapping of name to ndarray of float64, shape (M,)
        By the names of :data:`dicomnode.science.kinetics.PARAMETERS`.
    """

    regions: Regions
    power: NDArray[np.float32]
    times_s: Floats
    kept: Mask
    fitted: Mask
    fit: Fit
    parameters: Mapping[str, Floats]

    def within(self, mask: Mask) -> dict[str, Floats]:
        """Parameters of the fitted pixels inside ``mask`` (R, C)."""
        inside = mask[self.fitted]
        return {name: values[inside] for name, values in self.parameters.items()}

    def maps(self) -> dict[str, NDArray[np.float32]]:
        """Parameters as images (R, C) over lesion and ring, NaN elsewhere."""
        shown = self.regions.lesion | self.regions.ring
        return {
            name: _image(values, self.fitted, shown) for name, values in self.parameters.items()
        }

    def mean_curve(self, mask: Mask) -> Floats:
        """Mean echo power (T,) of measured pixels in ``mask``; NaN where a frame is left out."""
        inside = mask[self.regions.measured]
        if not inside.any():
            return np.full(self.times_s.shape, np.nan)
        curve = self.power[:, inside].mean(axis=1, dtype=np.float64)
        return np.where(self.kept, curve, np.nan)


def measure_perfusion(
    loop: Loop, motion: Motion, regions: Regions, *, smoothing_px: float, bins: int
) -> Perfusion:
    """Linearise, smooth and fit the pixels of lesion, ring and reference tissue.

    Parameters
    ----------
    loop : Loop
    motion : Motion
        Of this loop.
    regions : Regions
        Masks of shape (R, C); the lesion has at least one pixel.
    smoothing_px : float
        Standard deviation of the smoothing within the measured pixels, before the fit.
    bins : int
        Time bins of the fit.
    """
    grey = gather(loop.contrast, motion, regions.measured)
    power = linearise(grey, loop.dynamic_range_db)
    fitted = regions.lesion | regions.ring | _part_of(regions.tissue)
    chosen = fitted[regions.measured]
    fit = fit_lognormal(
        smooth_samples(power, regions.measured, smoothing_px)[:, chosen],
        loop.times_s,
        kept=motion.kept,
        saturated=_saturated_share(grey, regions.measured, smoothing_px, chosen),
        bins=bins,
    )
    return Perfusion(
        regions=regions,
        power=power,
        times_s=loop.times_s,
        kept=motion.kept,
        fitted=fitted,
        fit=fit,
        parameters=evaluate(fit),
    )


def _saturated_share(
    grey: NDArray[np.uint8], measured: Mask, smoothing_px: float, chosen: Mask
) -> NDArray[np.float32] | None:
    """How much of each smoothed sample was at the top of the grey scale; None where nothing was."""
    clipped = saturated(grey)
    if not clipped.any():
        return None
    return smooth_samples(clipped.astype(np.float32), measured, smoothing_px)[:, chosen]


def _part_of(tissue: Mask) -> Mask:
    """An evenly spread part of the tissue's pixels."""
    found = np.flatnonzero(tissue)
    step = max(1, -(-found.size // _TISSUE_PIXELS))
    part = np.zeros(tissue.size, np.bool_)
    part[found[::step]] = True
    return part.reshape(tissue.shape)


def _image(values: Floats, fitted: Mask, shown: Mask) -> NDArray[np.float32]:
    image = np.full(fitted.shape, np.nan, np.float32)
    image[fitted] = values
    image[~shown] = np.nan
    return image
