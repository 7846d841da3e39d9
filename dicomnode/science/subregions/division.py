"""Perfusion sub-regions: pixel features, their place in the codebook, and a smooth label map."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.curves import Binned
from dicomnode.science.findings import UNRELIABLE
from dicomnode.science.fit import Fit
from dicomnode.science.kinetics import curve_parameters
from dicomnode.science.perfusion import Perfusion
from dicomnode.science.subregions.borders import redraw
from dicomnode.science.subregions.codebook import Codebook
from dicomnode.science.subregions.potts import merge_specks, smooth

__all__ = [
    "assign",
    "divide",
    "feature_covariance",
    "pixel_features",
    "settle",
    "unreliable",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]

_LIMIT = 4.0
"""Features are held within ± this: beyond it a curve says no more than "none" or "never"."""
_TIMELESS_LOG_PE, _TIMED_LOG_PE = -2.0, -1.2
"""Enhancement below the first is too weak for its timing to count; above the second it counts."""
_OWN_SHARE = 0.25
"""Share of a pixel's log posterior that is its own: the smoothing before the fit and the point
spread give it some of its neighbours' samples, which the Potts model would count once more."""
_LEAST_LOG_POSTERIOR = -20.0
"""No pixel is so sure of itself that all its neighbours cannot overrule it."""
_USED = ("PE", "TTP", "FT", "RT")


def divide(perfusion: Perfusion, codebook: Codebook, spacing_mm: tuple[float, float]) -> Labels:
    """Label every lesion pixel with its sub-region, borders where the samples put them.

    Parameters
    ----------
    perfusion : Perfusion
    codebook : Codebook
    spacing_mm : (float, float)
        Row and column spacing.

    Returns
    -------
    ndarray of uint8, shape (R, C)
        0 outside the lesion, 1..K sub-region number, or
        :data:`~dicomnode.science.findings.UNRELIABLE`.
    """
    lesion = perfusion.regions.lesion
    inside = lesion[perfusion.fitted]
    tissue = perfusion.within(perfusion.regions.tissue)
    features = pixel_features(perfusion.within(lesion), tissue)
    poor = unreliable(codebook, perfusion.fit)[inside]
    labels = assign(codebook, features, None, lesion, poor, spacing_mm)
    return settle(labels, perfusion.unsmoothed(lesion), codebook, lesion, spacing_mm)


def settle(
    labels: Labels,
    samples: Binned,
    codebook: Codebook,
    mask: Mask,
    spacing_mm: tuple[float, float],
) -> Labels:
    """Redraw the borders of a map by the samples of the mask's pixels, then merge its specks."""
    count = len(codebook.names)
    redrawn = redraw(labels, samples, mask, count, codebook.beta)
    return merge_specks(redrawn, count, _smallest_px(codebook, spacing_mm))


def _smallest_px(codebook: Codebook, spacing_mm: tuple[float, float]) -> float:
    return codebook.min_area_mm2 / (spacing_mm[0] * spacing_mm[1])


def pixel_features(parameters: Mapping[str, Floats], tissue: Mapping[str, Floats]) -> Floats:
    """Place pixels in feature space.

    Parameters
    ----------
    parameters : mapping of name to ndarray, shape (N,)
        PE, TTP, FT and RT, from :func:`dicomnode.science.kinetics.evaluate`.
    tissue : mapping of name to ndarray
        The same of the reference tissue on the same clock; medians are taken.

    Returns
    -------
    ndarray of float64, shape (N, 4)
        ln(PE / PE of tissue); TTP minus that of tissue, over tissue's RT; ln(FT / FT of tissue);
        ln(RT / RT of tissue). Held within wide limits, hence always finite. The gain of the
        scanner, the moment the recording was started and how fast this patient's blood goes round
        cancel. The timing of a pixel that hardly enhances is noise and is replaced by that of
        tissue.
    """
    reference = {name: float(np.median(tissue[name])) for name in _USED}
    positive = all(reference[name] > 0 for name in ("PE", "FT", "RT"))
    if not all(np.isfinite(value) for value in reference.values()) or not positive:
        raise ValueError(
            f"tissue: expected finite times (s), with PE, FT and RT > 0, got {reference}"
        )
    at = np.clip(np.nan_to_num(_place(parameters, reference), nan=0.0), -_LIMIT, _LIMIT)
    at[:, 1:] *= _timed(at)
    return at


def _place(parameters: Mapping[str, Floats], reference: Mapping[str, float]) -> Floats:
    """Features (N, 4) before they are held within limits."""
    values = {name: np.asarray(parameters[name], np.float64) for name in _USED}
    logs = {
        name: np.log(np.maximum(values[name], 1e-300) / reference[name])
        for name in ("PE", "FT", "RT")
    }
    later = (values["TTP"] - reference["TTP"]) / reference["RT"]
    return np.stack([logs["PE"], later, logs["FT"], logs["RT"]], axis=1)


def _timed(features: Floats) -> Floats:
    """How far the timing of a pixel counts, 0 to 1; shape (N, 1)."""
    share = (features[:, :1] - _TIMELESS_LOG_PE) / (_TIMED_LOG_PE - _TIMELESS_LOG_PE)
    return np.asarray(np.clip(share, 0, 1))


def _log_times(fit: Fit, log_curvature: Floats) -> Floats:
    """ln(FT / tp) and ln(RT / tp), shape (2, N)."""
    zero = np.zeros_like(log_curvature)
    unit = curve_parameters(fit.family, zero, zero, log_curvature)
    return np.log(np.stack([unit["FT"], unit["RT"]]))


def feature_covariance(fit: Fit, features: Floats, tissue: Mapping[str, Floats]) -> Floats:
    """Covariance (N, 4, 4) of the ``features`` (N, 4) of a fit, to first order.

    The reference tissue, a mean over many pixels, counts as known.
    """
    rise_s = float(np.median(tissue["RT"]))
    jacobian = np.zeros((fit.log_pe.size, 4, 4))  # of ln PE, ln tp, ln s, t0
    jacobian[:, 0, 0] = 1
    jacobian[:, 1, 1], jacobian[:, 1, 3] = np.exp(fit.log_tp) / rise_s, 1 / rise_s
    jacobian[:, 2:, 1] = 1
    h = 1e-3
    change = _log_times(fit, fit.log_curvature + h) - _log_times(fit, fit.log_curvature - h)
    jacobian[:, 2:, 2] = change.T / (2 * h)
    jacobian[:, 1:] *= _timed(features)[:, :, np.newaxis]
    return np.asarray(jacobian @ fit.covariance[:, :4, :4] @ jacobian.transpose(0, 2, 1))


def unreliable(codebook: Codebook, fit: Fit) -> Mask:
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


def assign(
    codebook: Codebook,
    features: Floats,
    covariance: Floats | None,
    mask: Mask,
    unreliable: Mask,
    spacing_mm: tuple[float, float],
) -> Labels:
    """Divide a lesion into the codebook's sub-regions by the features of its pixels.

    Each pixel's posterior is smoothed by a Potts model, unreliable pixels taking no part, and
    specks below the codebook's smallest area go to what surrounds them.

    Parameters
    ----------
    codebook : Codebook
    features : ndarray, shape (N, 4)
        Of the mask's pixels in row-major order, from :func:`pixel_features`.
    covariance : ndarray, shape (N, 4, 4), or None
        Added to the clusters'. The clusters of a trained codebook already hold the training
        pixels' own errors; :func:`divide` gives None, for neither with their own errors nor
        without does adding it help (``make bench`` shows both).
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
    unary[member] = _OWN_SHARE * _log_posterior(
        codebook, features[usable], None if covariance is None else covariance[usable]
    )
    labels[member] = 1 + smooth(unary, member, codebook.beta)[member]
    return merge_specks(labels, count, _smallest_px(codebook, spacing_mm))
