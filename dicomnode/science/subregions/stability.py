"""How far a sub-region map would repeat: a block bootstrap over the loop's time.

The loop is cut into blocks of :data:`BLOCK_S`, about one breath, so that speckle which persists and
motion which is left over stay together. A replicate draws as many blocks as there are, with
replacement; a block drawn twice counts twice. Its fit is one step from the fit of all samples,

    θ* = θ + C/φ Σ_b (n_b − 1) g_b,

with g_b the slope of the pixel's log likelihood from block b, n_b how often b was drawn, C the
covariance of the fit and φ the pixel's dispersion; its map is made as the result's was, with the
same codebook.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.curves import Binned
from dicomnode.science.findings import Stability
from dicomnode.science.fit import LONGEST, TOLERATED, Fit, sensitivities
from dicomnode.science.kinetics import evaluate
from dicomnode.science.perfusion import Perfusion
from dicomnode.science.subregions.codebook import Codebook
from dicomnode.science.subregions.division import (
    assign,
    pixel_features,
    settle,
    unreliable,
)

__all__ = ["BLOCK_S", "REPLICATES", "rand_index", "stability"]

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]

BLOCK_S = 4.0
"""Length of a block."""
REPLICATES = 7

_SEED = 20
_TISSUE_PIXELS = 300
"""Of reference tissue, which every replicate measures again, so many pixels are enough."""


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
    same = np.zeros(labels.shape)
    scores = []
    for found in _maps(perfusion, codebook, spacing_mm, replicates):
        same += found == labels
        scores.append(rand_index(labels[divided], found[divided]))
    agreement = np.where(lesion, same / replicates, np.nan).astype(np.float32)
    return Stability(ari=float(np.median(scores)), replicates=replicates, agreement=agreement)


def rand_index(one: Labels, other: Labels) -> float:
    """Adjusted Rand index of two labellings of the same pixels; 1 where both are of one piece.

    Hubert and Arabie 1985, doi:10.1007/BF01908075.
    """
    counts = np.zeros((256, 256))
    np.add.at(counts, (one.ravel(), other.ravel()), 1)
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    together, in_one, in_other, pairs = (
        float((each * (each - 1)).sum()) / 2 for each in (counts, rows, columns, counts.sum())
    )
    expected = in_one * in_other / max(pairs, 1.0)
    most = (in_one + in_other) / 2
    return (together - expected) / (most - expected) if most != expected else 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Steps:
    """What every time block says about every pixel: steps (B, N, 5) of the parameters."""

    fit: Fit
    by_block: Floats

    def drawn(self, often: Floats) -> dict[str, Floats]:
        """Kinetic parameters of the replicate in which block b counts ``often[b]`` times."""
        step = np.clip(np.tensordot(often - 1, self.by_block, axes=1), -LONGEST, LONGEST)
        return evaluate(_moved(self.fit, step))


def _maps(
    perfusion: Perfusion, codebook: Codebook, spacing_mm: tuple[float, float], replicates: int
) -> Iterator[Labels]:
    lesion, tissue = perfusion.regions.lesion, perfusion.regions.tissue
    chosen = np.flatnonzero(lesion[perfusion.fitted])
    reference = np.flatnonzero(tissue[perfusion.fitted])
    reference = reference[:: -(-reference.size // _TISSUE_PIXELS)]
    size, start_s = chosen.size, float(perfusion.loop.times_s[0])
    steps = _steps(perfusion, np.concatenate([chosen, reference]), start_s)
    poor = unreliable(codebook, perfusion.fit)[chosen]
    samples = perfusion.unsmoothed(lesion)
    block = _blocks(samples.times_s, start_s)
    rng = np.random.default_rng(_SEED)
    count = len(steps.by_block)
    for _ in range(replicates):
        often = np.bincount(rng.integers(count, size=count), minlength=count).astype(np.float64)
        parameters = steps.drawn(often)
        features = pixel_features(
            {name: values[:size] for name, values in parameters.items()},
            {name: values[size:] for name, values in parameters.items()},
        )
        found = assign(codebook, features, None, lesion, poor, spacing_mm)
        weighted = samples.weighted(often[np.minimum(block, count - 1)])
        yield settle(found, weighted, codebook, lesion, spacing_mm)


def _blocks(times_s: Floats, start_s: float) -> NDArray[np.int64]:
    return np.asarray((times_s - start_s) // BLOCK_S, np.int64)


def _steps(perfusion: Perfusion, pixels: NDArray[np.intp], start_s: float) -> _Steps:
    """Step of each block from its slope of the log likelihood, for some of the fitted pixels."""
    fit = _of(perfusion.fit, pixels)
    inside = np.zeros(perfusion.fit.qof.size, np.bool_)
    inside[pixels] = True
    order = np.argsort(np.argsort(pixels))
    binned = perfusion.binned.of(inside)
    slopes = _slopes(fit, binned, order)
    block = _blocks(binned.times_s, start_s)
    by_block = np.zeros((int(block.max()) + 1, *slopes.shape[1:]))
    np.add.at(by_block, block, slopes)
    spread = fit.covariance * (fit.qof / fit.dispersion)[:, None, None]
    return _Steps(fit=fit, by_block=np.einsum("bni,nij->bnj", by_block, spread))


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


def _slopes(fit: Fit, binned: Binned, order: NDArray[np.intp]) -> Floats:
    """Slope (K, N, 5) of each bin's log likelihood; pixel n's samples are in column order[n]."""
    total = binned.total[:, order]
    count = binned.count if binned.count.shape[1] == 1 else binned.count[:, order]
    model, slopes = sensitivities(fit, binned.times_s)
    lifted = model + TOLERATED * np.exp(fit.log_pe) + 1e-30
    return np.asarray(slopes * ((total - count * model) / lifted**2)[:, :, None])
