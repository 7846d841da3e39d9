"""Perfusion of a lesion pixel by pixel: where it is measured, and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.curves import Binned, Bins, bin_times, wash_in
from dicomnode.science.fit import Fit, fit_binned, fit_means
from dicomnode.science.kinetics import arrivals, evaluate
from dicomnode.science.loop import Loop
from dicomnode.science.sampling import Motion, bin_frames, mean_power

__all__ = ["Perfusion", "Regions", "measure_perfusion"]

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_TISSUE_PIXELS = 3000
"""Reference tissue is described by at most this many of its pixels, evenly spread."""


@dataclass(frozen=True, kw_only=True, eq=False)
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Perfusion:
    """Binned samples, fit and kinetic parameters of the measured pixels.

    Attributes
    ----------
    loop : Loop
    motion : Motion
        Of the loop, around the lesion.
    fitted : ndarray of bool, shape (R, C)
        The M pixels that were fitted: lesion, ring and a part of the tissue.
    bins : Bins
        Of the loop's frames.
    binned : Binned
        Their samples, motion-compensated and smoothed, in row-major order.
    fit : Fit
        Of those M pixels.
    lesion_curve : ndarray of float64, shape (T,)
        Mean echo power of the lesion; NaN where a frame is left out.
    arrival_s : float
        When the bolus arrives in the lesion as a whole: times to peak count from here.
    parameters : mapping of name to ndarray of float64, shape (M,)
        By the names of :data:`dicomnode.science.kinetics.PARAMETERS`.
    """

    loop: Loop
    motion: Motion
    regions: Regions
    fitted: Mask
    bins: Bins
    binned: Binned
    fit: Fit
    lesion_curve: Floats
    arrival_s: float
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

    def unsmoothed(self, mask: Mask) -> Binned:
        """Binned samples of the pixels in ``mask`` as they were recorded."""
        loop = self.loop
        return bin_frames(loop.contrast, self.motion, mask, self.bins, loop.dynamic_range_db)

    def mean_curves(self, labels: NDArray[np.uint8]) -> Floats:
        """Mean echo power (T, L) of the regions labelled 1..L; NaN where there is none."""
        return _mean_curves(self.loop, self.motion, labels)

    def fit_means(self, powers: Floats) -> Fit:
        """Fit regions' mean curves (T, L)."""
        return fit_means(powers, self.loop.times_s, kept=self.motion.kept, like=self.fit)


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
    curve = _mean_curves(loop, motion, regions.lesion.astype(np.uint8))[:, 0]
    groups = bin_times(loop.times_s, bins, kept=motion.kept, wash_in_s=wash_in(curve, loop.times_s))
    binned = bin_frames(
        loop.contrast, motion, regions.measured, groups, loop.dynamic_range_db,
        smoothing_px=smoothing_px,
    )  # fmt: skip
    fitted = regions.lesion | regions.ring | _part_of(regions.tissue)
    binned = binned.of(fitted[regions.measured])
    fit = fit_binned(binned)
    whole = fit_means(curve[:, np.newaxis], loop.times_s, kept=motion.kept, like=fit)
    arrival_s = float(arrivals(whole)[0])
    return Perfusion(
        loop=loop,
        motion=motion,
        regions=regions,
        fitted=fitted,
        bins=groups,
        binned=binned,
        fit=fit,
        lesion_curve=curve,
        arrival_s=arrival_s,
        parameters=evaluate(fit, arrival_s),
    )


def _mean_curves(loop: Loop, motion: Motion, labels: NDArray[np.uint8]) -> Floats:
    curves = mean_power(loop.contrast, motion, labels, loop.dynamic_range_db)
    curves[~motion.kept] = np.nan
    return curves


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
