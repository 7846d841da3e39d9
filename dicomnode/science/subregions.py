"""Perfusion sub-regions: pixel features, their place in the codebook, and a smooth label map."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.codebook import FEATURE_NAMES, KINDS, Codebook
from dicomnode.science.findings import UNRELIABLE
from dicomnode.science.fit import Fit
from dicomnode.science.kinetics import curve_parameters

__all__ = [
    "FEATURE_NAMES",
    "KINDS",
    "Codebook",
    "assign",
    "feature_covariance",
    "pixel_features",
    "unreliable",
]

Floats = NDArray[np.float64]

_LIMITS = np.array([[-3.0, -20.0, 0.0, -1.5], [4.0, 30.0, 5.5, 4.5]])
"""Features are held within these: beyond them a curve says no more than "none" or "never"."""
_TIMELESS_LOG_PE, _TIMED_LOG_PE = -2.0, -1.2
"""Enhancement below the first is too weak for its timing to count; above the second it counts."""
_LEAST_LOG_POSTERIOR = -20.0
"""No pixel is so sure of itself that all its neighbours cannot overrule it."""
_USED = ("PE", "TTP", "mTT", "RT", "arrival")
_SWEEPS = 12
_MERGES = 8
_NEXT_TO = ndimage.generate_binary_structure(2, 1)


def pixel_features(parameters: Mapping[str, Floats], tissue: Mapping[str, Floats]) -> Floats:
    """Place pixels in feature space.

    Parameters
    ----------
    parameters : mapping of name to ndarray, shape (N,)
        PE, TTP, mTT, RT and arrival, from :func:`dicomnode.science.kinetics.evaluate`.
    tissue : mapping of name to ndarray
        The same of the reference tissue on the same clock; medians are taken.

    Returns
    -------
    ndarray of float64, shape (N, 4)
        ln(PE / PE of tissue); the instant of the peak (arrival + TTP) minus that of tissue, s;
        ln(mTT / s); ln(RT / s). Held within wide limits, hence always finite. The gain of the
        scanner and the moment the recording was started cancel. The timing of a pixel that hardly
        enhances is noise and is replaced by that of tissue.
    """
    reference = {name: float(np.median(tissue[name])) for name in _USED}
    if not all(np.isfinite(value) for value in reference.values()) or reference["PE"] <= 0:
        raise ValueError(f"tissue: expected finite times (s) and PE > 0, got {reference}")
    at, zero = _place(parameters), _place(reference)
    at[:, :2] -= zero[:, :2]
    at = np.clip(np.nan_to_num(at, nan=0.0), *_LIMITS)
    neutral = np.clip(np.concatenate([[0.0], zero[0, 2:]]), _LIMITS[0, 1:], _LIMITS[1, 1:])
    timed = _timed(at)
    at[:, 1:] = timed * at[:, 1:] + (1 - timed) * neutral
    return np.asarray(at)


def _place(parameters: Mapping[str, Floats] | Mapping[str, float]) -> Floats:
    """Give ln PE, instant of the peak / s, ln mTT, ln RT; shape (N, 4)."""
    values = {name: np.atleast_1d(parameters[name]).astype(np.float64) for name in _USED}
    logs = {name: np.log(np.maximum(values[name], 1e-300)) for name in ("PE", "mTT", "RT")}
    peak_s = values["arrival"] + values["TTP"]
    return np.stack([logs["PE"], peak_s, logs["mTT"], logs["RT"]], axis=1)


def _timed(features: Floats) -> Floats:
    """How far the timing of a pixel counts, 0 to 1; shape (N, 1)."""
    share = (features[:, :1] - _TIMELESS_LOG_PE) / (_TIMED_LOG_PE - _TIMELESS_LOG_PE)
    return np.asarray(np.clip(share, 0, 1))


def _log_times(fit: Fit, log_curvature: Floats) -> Floats:
    """ln(mTT / tp) and ln(RT / tp), shape (2, N)."""
    zero = np.zeros_like(log_curvature)
    unit = curve_parameters(fit.family, zero, zero, log_curvature)
    return np.log(np.stack([unit["mTT"], unit["RT"]]))


def feature_covariance(fit: Fit, features: Floats) -> Floats:
    """Covariance (N, 4, 4) of the ``features`` (N, 4) of a fit, to first order.

    The reference tissue, a mean over many pixels, counts as known.
    """
    jacobian = np.zeros((fit.log_pe.size, 4, 4))  # of ln PE, ln tp, ln s, t0
    jacobian[:, 0, 0] = 1
    jacobian[:, 1, 1], jacobian[:, 1, 3] = np.exp(fit.log_tp), 1
    jacobian[:, 2:, 1] = 1
    h = 1e-3
    change = _log_times(fit, fit.log_curvature + h) - _log_times(fit, fit.log_curvature - h)
    jacobian[:, 2:, 2] = change.T / (2 * h)
    jacobian[:, 1:] *= _timed(features)[:, :, np.newaxis]
    return np.asarray(jacobian @ fit.covariance[:, :4, :4] @ jacobian.transpose(0, 2, 1))


def unreliable(codebook: Codebook, fit: Fit) -> NDArray[np.bool_]:
    """Tell which pixels (N,) are fitted too poorly to be given a sub-region."""
    return np.asarray(fit.failed | (fit.qof < codebook.min_qof))


def _log_posterior(codebook: Codebook, features: Floats, covariance: Floats | None) -> Floats:
    """(N, K), normalised so that the most probable is 0."""
    scores = np.empty((features.shape[0], len(codebook.names)))
    for k, mean in enumerate(codebook.means):
        spread = codebook.covariances[k] + (0 if covariance is None else covariance)
        off = features - mean
        solved = np.linalg.solve(spread, off[..., None])[..., 0]
        _, log_volume = np.linalg.slogdet(spread)
        scores[:, k] = -0.5 * ((off * solved).sum(axis=1) + log_volume)
    scores += np.log(codebook.weights)
    return np.asarray(np.maximum(scores - scores.max(axis=1, keepdims=True), _LEAST_LOG_POSTERIOR))


def _neighbours(belief: Floats) -> Floats:
    """Sum of the four neighbours' beliefs; shape (R, C, K)."""
    padded = np.pad(belief, ((1, 1), (1, 1), (0, 0)))
    return np.asarray(padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:])


def _softmax(scores: Floats) -> Floats:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _smooth(unary: Floats, member: NDArray[np.bool_], beta: float) -> NDArray[np.intp]:
    """Mean field of a Potts model on four neighbours, the colours of a chessboard in turn.

    Parameters
    ----------
    unary : ndarray, shape (R, C, K)
        Log posterior of each pixel by itself.
    member : ndarray of bool, shape (R, C)
        Pixels that take part.
    beta : float
        Gain in log probability for each neighbour of the same label.
    """
    belief = np.where(member[..., None], _softmax(unary), 0)
    rows, columns = np.indices(member.shape)
    for sweep in range(2 * _SWEEPS):
        turn = member & ((rows + columns) % 2 == sweep % 2)
        belief[turn] = _softmax(unary[turn] + beta * _neighbours(belief)[turn])
    return np.asarray(belief.argmax(axis=2))


def _merge_specks(labels: NDArray[np.uint8], count: int, smallest_px: float) -> NDArray[np.uint8]:
    """Give every connected speck of a sub-region to the commonest sub-region next to it."""
    labels = labels.copy()
    for _ in range(_MERGES):
        merged = labels.copy()
        for number in range(1, count + 1):
            for speck in _specks(labels == number, smallest_px):
                winner = _commonest_around(labels, speck, number, count)
                merged[speck] = winner
        if np.array_equal(merged, labels):
            break
        labels = merged
    return labels


def _specks(region: NDArray[np.bool_], smallest_px: float) -> list[tuple[NDArray[np.intp], ...]]:
    parts, found = ndimage.label(region, _NEXT_TO)
    sizes = np.bincount(parts.ravel(), minlength=found + 1)
    small = np.flatnonzero(sizes < smallest_px)
    return [np.nonzero(parts == part) for part in small if part > 0]


def _commonest_around(
    labels: NDArray[np.uint8], speck: tuple[NDArray[np.intp], ...], number: int, count: int
) -> int:
    """Label next to a speck most often, the lowest of equals; its own where nothing is near."""
    around = np.concatenate(
        [_shifted(labels, speck, step) for step in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    )
    around = around[(around > 0) & (around <= count) & (around != number)]
    return int(np.bincount(around).argmax()) if around.size else number


def _shifted(
    labels: NDArray[np.uint8], pixels: tuple[NDArray[np.intp], ...], step: tuple[int, int]
) -> NDArray[np.uint8]:
    rows, columns = pixels[0] + step[0], pixels[1] + step[1]
    inside = (rows >= 0) & (rows < labels.shape[0]) & (columns >= 0) & (columns < labels.shape[1])
    return np.asarray(labels[rows[inside], columns[inside]])


def assign(
    codebook: Codebook,
    features: Floats,
    covariance: Floats | None,
    mask: NDArray[np.bool_],
    unreliable: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
) -> NDArray[np.uint8]:
    """Divide a lesion into the codebook's sub-regions.

    Each pixel's posterior (its own covariance, if given, is added to the clusters') is smoothed by
    a Potts model, unreliable pixels taking no part, and specks below the codebook's smallest area
    go to what surrounds them.

    Parameters
    ----------
    codebook : Codebook
    features : ndarray, shape (N, 4)
        Of the mask's pixels in row-major order, from :func:`pixel_features`.
    covariance : ndarray, shape (N, 4, 4), or None
        From :func:`feature_covariance`. The clusters of a trained codebook already hold the
        training pixels' own errors, so that adding it counts them twice and blurs the borders.
    mask : ndarray of bool, shape (R, C)
        The lesion.
    unreliable : ndarray of bool, shape (N,)
        Pixels that get no sub-region.
    spacing_mm : (float, float)
        Row and column spacing.

    Returns
    -------
    ndarray of uint8, shape (R, C)
        0 outside, 1..K sub-region number, or
        :data:`~dicomnode.science.findings.UNRELIABLE`.
    """
    pixels, count = int(np.count_nonzero(mask)), len(codebook.names)
    if features.shape != (pixels, len(codebook.features)) or unreliable.shape != (pixels,):
        raise ValueError(
            f"features, unreliable: expected one row for each of the mask's {pixels} pixels and "
            f"{len(codebook.features)} features, got {features.shape} and {unreliable.shape}"
        )
    labels = np.zeros(mask.shape, np.uint8)
    labels[mask] = UNRELIABLE
    usable = ~unreliable & np.isfinite(features).all(axis=1)
    if not usable.any():
        return labels
    member = mask.copy()
    member[mask] = usable
    unary = np.zeros((*mask.shape, count))
    unary[member] = _log_posterior(
        codebook, features[usable], None if covariance is None else covariance[usable]
    )
    labels[member] = 1 + _smooth(unary, member, codebook.beta)[member]
    return _merge_specks(labels, count, codebook.min_area_mm2 / (spacing_mm[0] * spacing_mm[1]))
