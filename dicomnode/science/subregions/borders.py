"""Borders of sub-regions, redrawn where the samples themselves put them.

A pixel at a border holds a mixture: the point spread adds the echo power of both sides. A curve
fitted to a mixture lies between the sides, nearer to the brighter one, or looks like a third kind,
so that a map of fitted parameters draws every border on the darker side. Here the curve of each
sub-region is known, from its pixels away from any border, and the samples of a pixel n are expected
to be

    m_n(t) = Σ_k (G ∗ q_k)_n M_k(t),

q the map, M_k the sub-regions' mean curves and G the spread of echo power, measured on the speckle.
The map is the one most probable under the gamma likelihood of the samples and the Potts prior, near
the map that it starts from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.curves import Binned
from dicomnode.science.masks import box_around
from dicomnode.science.subregions.potts import chessboard, neighbours, softmax

__all__ = ["redraw"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Mask = NDArray[np.bool_]

_ROUNDS = 6
_STEP = 0.5
"""How far beliefs follow in one round: all pixels of a colour move at once."""
_FEWEST_PX = 10
"""Sub-regions smaller than this have no curve of their own."""
_AROUND = np.ones((3, 3), np.bool_)
_NEXT = np.s_[1:], np.s_[:-1]
_IMPOSSIBLE = -50.0
_CORRELATION = (1e-3, 0.9)
"""Correlation of next pixels is held within these: a spread of 0.19 to 1.5 pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Samples:
    """Unsmoothed samples of the N pixels of ``member`` (R, C): sums (N, K), counts (N or 1, K)."""

    member: Mask
    total: Singles
    count: Singles

    @property
    def mean(self) -> Singles:
        return np.asarray(self.total / np.maximum(self.count, np.float32(1e-6)))


def redraw(
    labels: NDArray[np.uint8], binned: Binned, mask: Mask, count: int, beta: float
) -> NDArray[np.uint8]:
    """Move the borders between sub-regions to where the samples put them.

    A pixel may take a label that it or one of its eight neighbours has in ``labels``. How much the
    samples count against the prior is measured: by how much the likelihood's slope varies between
    pixels amid their own sub-region, over what independent speckle would do. Neighbours that share
    speckle, and perfusion that is uneven within a sub-region, raise it.

    Parameters
    ----------
    labels : ndarray of uint8, shape (R, C)
        1..count where a pixel has a sub-region; others are left as they are.
    binned : Binned
        Samples of the N pixels of the mask in row-major order, not smoothed.
    mask : ndarray of bool, shape (R, C)
    count : int
        Sub-regions there may be.
    beta : float
        As in :func:`dicomnode.science.subregions.potts.smooth`.

    Returns
    -------
    ndarray of uint8, shape (R, C)
    """
    if labels.shape != mask.shape or binned.total.shape[1] != np.count_nonzero(mask):
        raise ValueError(
            f"binned, labels: expected the samples of the mask's {np.count_nonzero(mask)} pixels "
            f"and labels of shape {mask.shape}, got {binned.total.shape[1]} and {labels.shape}"
        )
    sizes = np.bincount(labels[mask], minlength=count + 1)[1 : count + 1]
    numbers = 1 + np.flatnonzero(sizes >= _FEWEST_PX)
    if len(numbers) < 2:
        return labels
    redrawn = labels.copy()
    box = box_around(np.isin(labels, numbers) & mask)
    redrawn[box] = _redrawn(
        labels[box], _samples(labels, binned, mask, numbers, box), numbers, beta
    )
    return redrawn


def _samples(
    labels: NDArray[np.uint8],
    binned: Binned,
    mask: Mask,
    numbers: NDArray[np.intp],
    box: tuple[slice, slice],
) -> _Samples:
    member = mask & np.isin(labels, numbers)
    chosen = binned.of(member[mask])
    total = np.ascontiguousarray(chosen.total.T, np.float32)
    total /= max(float(total.mean()), 1e-30)
    return _Samples(member=member[box], total=total, count=np.asarray(chosen.count.T, np.float32))


def _redrawn(
    labels: NDArray[np.uint8], samples: _Samples, numbers: NDArray[np.intp], beta: float
) -> NDArray[np.uint8]:
    member = samples.member
    belief = np.stack([member & (labels == number) for number in numbers], axis=-1)
    near = np.stack([ndimage.binary_dilation(each, _AROUND) for each in np.moveaxis(belief, -1, 0)])
    barred = np.where(np.moveaxis(near, 0, -1), 0.0, _IMPOSSIBLE)
    amid = belief & ~_next_to_another(belief)[..., None]
    curves = _curves(samples, belief, amid)
    spread_px = _spread_px(samples, amid if amid.any() else belief, curves)
    belief = belief.astype(np.float64)
    for _ in range(_ROUNDS):
        gains = _gains(samples, belief, curves, spread_px, amid) + barred
        for turn in chessboard(member):
            wanted = softmax(gains[turn] + beta * neighbours(belief)[turn])
            belief[turn] += _STEP * (wanted - belief[turn])
    found = numbers[belief.argmax(axis=-1)].astype(np.uint8)
    return np.where(member, found, labels)


def _next_to_another(belief: Mask) -> Mask:
    """Pixels (R, C) with another sub-region among their eight neighbours."""
    around = [ndimage.binary_dilation(each, _AROUND) for each in np.moveaxis(belief, -1, 0)]
    return np.asarray(np.sum(around, axis=0) > 1)


def _curves(samples: _Samples, belief: Mask, amid: Mask) -> Singles:
    """Mean curve (P, K) of each sub-region away from borders, or anywhere if that is too little."""
    counts = np.broadcast_to(samples.count, samples.total.shape)
    means = []
    for number in range(belief.shape[-1]):
        chosen = amid[..., number] if amid[..., number].sum() >= _FEWEST_PX else belief[..., number]
        pixels = chosen[samples.member]
        count = counts[pixels].sum(axis=0, dtype=np.float64)
        means.append(samples.total[pixels].sum(axis=0, dtype=np.float64) / np.maximum(count, 1e-6))
    curves = np.array(means, np.float32)
    return np.asarray(np.maximum(curves, max(1e-6 * float(curves.max()), 1e-30)))


def _spread_px(samples: _Samples, amid: Mask, curves: Singles) -> tuple[float, float]:
    """Standard deviation of G along rows and columns, from the correlation of speckle.

    For a Gaussian point spread the correlation of the power of two pixels is exp(−d²/4σ²), σ the
    standard deviation of G. Differences from one time bin to the next leave out what stays.
    """
    seen = samples.count.max(axis=0) > 0
    within: Mask = np.asarray(amid.any(axis=-1))
    pixels = within[samples.member]
    relative = samples.mean[pixels][:, seen] / (amid[within] @ curves[:, seen])
    change = np.zeros((max(relative.shape[1] - 1, 0), *within.shape), np.float32)
    change[:, within] = np.diff(relative, axis=1).T
    power = _sum_product(change, change) / max(len(relative), 1)
    found = []
    for axis in (0, 1):
        here, there = (np.moveaxis(within, axis, 0)[part] for part in _NEXT)
        one, other = (np.moveaxis(change, 1 + axis, 0)[part] for part in _NEXT)
        mean = _sum_product(one, other) / max(int(np.sum(here & there)), 1)
        correlation = np.clip(mean / max(power, 1e-30), *_CORRELATION)
        found.append(float(np.sqrt(-0.25 / np.log(correlation))))
    return found[0], found[1]


def _sum_product(one: Singles, other: Singles) -> float:
    return float(np.einsum("ijk,ijk->", one, other, dtype=np.float64))


def _gains(
    samples: _Samples,
    belief: Floats,
    curves: Singles,
    spread_px: tuple[float, float],
    amid: Mask,
) -> Floats:
    """Log likelihood (R, C, P) that each pixel gains by changing to a sub-region, to second order.

    Its slope in direction of a curve M_a is G ∗ Σ_t (S − w m) M_a / m², its curvature
    G² ∗ Σ_t w M_a M_b / m², S and w the bins' sums and counts.
    """
    member, size = samples.member, belief.shape[-1]
    within = np.maximum(_blurred(member.astype(np.float64), spread_px), 1e-6)
    shares = (_blurred(belief, spread_px)[member] / within[member][:, None]).astype(np.float32)
    model = shares @ curves
    weight = 1 / (model * model)
    slope, bend = np.zeros(belief.shape), np.zeros((*member.shape, size, size))
    slope[member] = ((samples.total - samples.count * model) * weight) @ curves.T
    pairs = (curves[:, None] * curves[None]).reshape(size * size, -1)
    bend[member] = ((samples.count * weight) @ pairs.T).reshape(-1, size, size)
    slope = _blurred(slope / within[..., None], spread_px)
    narrow = spread_px[0] / np.sqrt(2), spread_px[1] / np.sqrt(2)
    peak = 1 / (4 * np.pi * spread_px[0] * spread_px[1])
    bend = peak * _blurred(bend / (within * within)[..., None, None], narrow)
    here = np.einsum("rcp,rcpq->rcq", belief, bend)
    slope = slope - np.einsum("rcp,rcp->rc", belief, slope)[..., None]
    bend = np.einsum("rcpp->rcp", bend) - 2 * here
    bend += np.einsum("rcp,rcp->rc", belief, here)[..., None]
    excess = _excess(slope, bend, amid)
    return np.asarray((slope - 0.5 * bend) / np.einsum("rcp,pq->rcq", belief, excess).clip(1.0))


def _blurred(images: Floats, sigma_px: tuple[float, float]) -> Floats:
    return np.asarray(
        ndimage.gaussian_filter(images, sigma_px, mode="constant", truncate=3.0, axes=(0, 1))
    )


def _excess(slope: Floats, bend: Floats, amid: Mask) -> Floats:
    """Variance of the slope towards q amid sub-region p over that expected, (P, P), at least 1."""
    size = slope.shape[-1]
    excess = np.ones((size, size))
    for own in range(size):
        pixels = amid[..., own]
        if np.count_nonzero(pixels) >= _FEWEST_PX:
            expected = np.maximum(bend[pixels].mean(axis=0), 1e-30)
            excess[own] = np.maximum((slope[pixels] ** 2).mean(axis=0) / expected, 1.0)
            excess[own, own] = 1.0
    return np.maximum(excess, excess.T)
