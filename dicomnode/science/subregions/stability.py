"""Repeatability of a sub-region map: a block bootstrap over the loop's time.

The loop is cut into blocks of :data:`BLOCK_S`, about one breath, so that speckle which persists and
motion which is left over stay together. A replicate draws as many blocks as hold samples, with
replacement; a block drawn twice counts twice. Its fit is one step from the fit of all samples,

    θ* = θ + C/φ Σ_b (n_b − 1) g_b,

with g_b the slope of the pixel's log likelihood from block b, n_b how often b was drawn, C the
covariance of the fit and φ the pixel's dispersion; its map is made as the result's was, with the
same codebook.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from dicomnode.science.compiled import in_parallel
from dicomnode.science.curves import Binned
from dicomnode.science.findings import Stability
from dicomnode.science.fit import LONGEST, TOLERATED, Fit, sensitivities
from dicomnode.science.kinetics import evaluate
from dicomnode.science.masks import box_around
from dicomnode.science.perfusion import Perfusion
from dicomnode.science.subregions.codebook import Codebook
from dicomnode.science.subregions.division import (
    assign,
    pixel_features,
    settle,
    unreliable,
)

__all__ = ["BLOCK_S", "REPLICATES", "draws", "stability"]

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

BLOCK_S = 4.0
"""Length of a block."""
REPLICATES = 7

_SEED = 20
_TISSUE_PIXELS = 300
"""Of reference tissue, which every replicate measures again, so many pixels are enough."""
_AT_ONCE = 2
"""Replicates in memory at a time: some 2 kB for each pixel of the lesion."""
_TOGETHER = 512
"""Pixels whose slopes are in memory at a time."""


def stability(
    perfusion: Perfusion,
    codebook: Codebook,
    labels: Labels,
    spacing_mm: tuple[float, float],
    *,
    replicates: int = REPLICATES,
) -> Stability | None:
    """Divide the lesion again from resampled time and compare.

    Parameters
    ----------
    perfusion : Perfusion
    codebook : Codebook
    labels : ndarray of uint8, shape (R, C)
        From :func:`dicomnode.science.subregions.divide`, of the same perfusion and codebook.
    spacing_mm : (float, float)
        Row and column spacing.
    replicates : int
        At least 1.

    Returns
    -------
    Stability or None
        None where no pixel has a sub-region. The same input gives the same result.
    """
    if replicates < 1:
        raise ValueError(f"replicates: expected at least 1, got {replicates}")
    lesion = perfusion.regions.lesion
    divided = (labels > 0) & (labels <= len(codebook.names))
    if not divided.any():
        return None
    box = _around(lesion)
    here, inside = labels[box], divided[box]
    maps = _maps(perfusion, codebook, spacing_mm, replicates)
    agreement = np.full(labels.shape, np.nan, np.float32)
    agreement[box] = np.mean([found == here for found in maps], axis=0)
    agreement[~lesion] = np.nan
    scores = [adjusted_rand_score(here[inside], found[inside]) for found in maps]
    return Stability(ari=float(np.median(scores)), replicates=replicates, agreement=agreement)


def _maps(
    perfusion: Perfusion, codebook: Codebook, spacing_mm: tuple[float, float], replicates: int
) -> list[Labels]:
    """Map of every replicate, within the lesion's box."""
    lesion, tissue = perfusion.regions.lesion, perfusion.regions.tissue
    chosen = np.flatnonzero(lesion[perfusion.fitted])
    reference = np.flatnonzero(tissue[perfusion.fitted])
    reference = reference[:: -(-reference.size // _TISSUE_PIXELS)]
    pixels, size = np.concatenate([chosen, reference]), chosen.size
    often = draws(perfusion.bins.times_s - perfusion.loop.times_s[0], replicates)
    steps = _steps(perfusion, pixels, often)
    fit = _of(perfusion.fit, pixels)
    poor = unreliable(codebook, fit)[:size]
    samples = perfusion.unsmoothed(lesion)
    inside = lesion[_around(lesion)]

    def again(number: int) -> Labels:
        parameters = evaluate(_moved(fit, steps[number]), perfusion.arrival_s)
        features = pixel_features(
            {name: values[:size] for name, values in parameters.items()},
            {name: values[size:] for name, values in parameters.items()},
        )
        found = assign(codebook, features, None, inside, poor, spacing_mm)
        return settle(found, _drawn(samples, often[number]), codebook, inside, spacing_mm)

    numbers = range(replicates)
    batches = (numbers[first : first + _AT_ONCE] for first in numbers[::_AT_ONCE])
    return [found for batch in batches for found in in_parallel(again, batch)]


def _around(lesion: Mask) -> tuple[slice, slice]:
    """Box of a lesion; it begins at even indices, where the chessboard is that of the image."""
    rows, columns = box_around(lesion)
    return (
        slice(rows.start - rows.start % 2, rows.stop),
        slice(columns.start - columns.start % 2, columns.stop),
    )


def draws(since_s: Floats, replicates: int) -> Floats:
    """How often each replicate draws the block that each bin lies in.

    Parameters
    ----------
    since_s : ndarray of float64, shape (K,)
        Times of the bins since the start of the loop. Only blocks that hold a bin are drawn: there
        are none in the gap between two clips.
    replicates : int

    Returns
    -------
    ndarray of float64, shape (replicates, K)
        The same whenever it is called.
    """
    found, block = np.unique(since_s // BLOCK_S, return_inverse=True)
    drawn = np.random.default_rng(_SEED).integers(found.size, size=(replicates, found.size))
    often = np.stack([np.bincount(each, minlength=found.size) for each in drawn])
    return often[:, block].astype(np.float64)


def _drawn(samples: Binned, often: Floats) -> Binned:
    """Samples of a replicate, without the bins that it did not draw."""
    there = often > 0
    held = Binned(
        times_s=samples.times_s[there], total=samples.total[there], count=samples.count[there]
    )
    return held.weighted(often[there])


def _steps(perfusion: Perfusion, pixels: NDArray[np.intp], often: Floats) -> Floats:
    """Step (replicates, N, 5) of some of the fitted pixels, in ln PE, ln tp, ln s, t0, ln B."""
    steps = np.empty((len(often), pixels.size, 5))

    def take(first: int) -> None:
        some = slice(first, first + _TOGETHER)
        fit = _of(perfusion.fit, pixels[some])
        slopes = _slopes(fit, perfusion.binned.of(pixels[some]))
        drawn = np.tensordot(often - 1, slopes, axes=1)
        spread = fit.covariance * (fit.qof / fit.dispersion)[:, None, None]
        steps[:, some] = np.einsum("rni,nij->rnj", drawn, spread)

    in_parallel(take, range(0, pixels.size, _TOGETHER))
    return np.clip(steps, -LONGEST, LONGEST, out=steps)


def _of(fit: Fit, pixels: NDArray[np.intp]) -> Fit:
    names = ("log_pe", "log_tp", "log_curvature", "t0_s", "baseline", "covariance", "qof")
    return replace(
        fit,
        **{name: getattr(fit, name)[pixels] for name in (*names, "failed", "evaluations")},
    )


def _moved(fit: Fit, step: Floats) -> Fit:
    """The fit after a step (N, 5) in ln PE, ln tp, ln s, t0, ln B."""
    curvature = np.exp(fit.log_curvature + step[:, 2])
    held = np.clip(curvature, fit.family.least, fit.family.most)
    return replace(
        fit,
        log_pe=fit.log_pe + step[:, 0],
        log_tp=fit.log_tp + step[:, 1],
        log_curvature=np.log(held),
        t0_s=fit.t0_s + step[:, 3],
        baseline=fit.baseline * np.exp(step[:, 4]),
    )


def _slopes(fit: Fit, binned: Binned) -> Floats:
    """Slope (K, N, 5) of each bin's log likelihood for each of the fit's pixels."""
    model, slopes = sensitivities(fit, binned.times_s)
    lifted = model + TOLERATED * np.exp(fit.log_pe) + 1e-30
    slopes *= ((binned.total - binned.count * model) / lifted**2)[:, :, None]
    return slopes
