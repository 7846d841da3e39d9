"""Learning a codebook from many patients' pixels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from dicomnode.science.subregions.codebook import FEATURE_NAMES, Codebook, names_for

__all__ = ["train_codebook"]

Floats = NDArray[np.float64]

_PIXELS_PER_PATIENT = 200
_SPLITS = 3
_STARTS = 4
_TRIMMED = 0.15
"""Share of pixels, the most unusual, that the second fit leaves out."""
_RIDGE = 1e-3
"""Added to the variances of standardised features."""
_FEWEST_PATIENTS = 4


def train_codebook(
    patients: Sequence[Floats], *, seed: int, counts: Sequence[int] = (5, 6)
) -> Codebook:
    """Fit a full-covariance Gaussian mixture to pixels of all patients alike.

    The number of sub-regions is the one whose labels agree best between codebooks trained on two
    halves of the patients (mean adjusted Rand index over three splits; of equals the smaller).
    Numbers and names follow the clusters' order in feature space, see :func:`_ordered`.

    Parameters
    ----------
    patients : sequence of ndarray, shape (N_i, 4)
        Features of reliable pixels of each patient. At least 80 patients make a codebook that
        holds; fewer than 4 are refused.
    seed : int
        Of sampling, splits and starts.
    counts : sequence of int
        Numbers of sub-regions to choose from: 5, 6 or both.
    """
    if len(patients) < _FEWEST_PATIENTS:
        raise ValueError(f"patients: expected at least {_FEWEST_PATIENTS}, got {len(patients)}")
    for number, features in enumerate(patients):
        expected = len(FEATURE_NAMES)
        if features.ndim != 2 or features.shape[1] != expected or not np.isfinite(features).all():
            raise ValueError(
                f"patients[{number}]: expected finite features of shape (pixels, {expected}), "
                f"got shape {features.shape}"
            )
    rng = np.random.default_rng(seed)
    sampled = [_sample(features, rng) for features in patients]
    pixels = np.concatenate(sampled)
    centre, scale = pixels.mean(axis=0), np.maximum(pixels.std(axis=0), 1e-6)
    sampled = [(features - centre) / scale for features in sampled]
    stability = tuple((count, _stability(sampled, count, rng)) for count in sorted(counts))
    best = max(stability, key=lambda pair: pair[1])[0]
    mixture = _mixture(np.concatenate(sampled), best, int(rng.integers(2**31)))
    return _codebook(mixture, centre, scale, stability, len(patients))


def _sample(features: Floats, rng: np.random.Generator) -> Floats:
    size = min(_PIXELS_PER_PATIENT, features.shape[0])
    chosen: Floats = features[rng.choice(features.shape[0], size, replace=False)]
    return chosen


def _mixture(pixels: Floats, count: int, seed: int) -> GaussianMixture:
    """Fit twice, the second time without the most unusual pixels.

    These, mostly poor fits, would otherwise be given a wide cluster of their own.
    """
    mixture = GaussianMixture(
        count, covariance_type="full", n_init=_STARTS, reg_covar=_RIDGE, random_state=seed,
        max_iter=500, tol=1e-4,
    )  # fmt: skip
    density = mixture.fit(pixels).score_samples(pixels)
    return mixture.fit(pixels[density >= np.quantile(density, _TRIMMED)])


def _stability(sampled: Sequence[Floats], count: int, rng: np.random.Generator) -> float:
    everyone = np.concatenate(sampled)
    scores = []
    for _ in range(_SPLITS):
        order, half = rng.permutation(len(sampled)), len(sampled) // 2
        labels = [
            _mixture(
                np.concatenate([sampled[i] for i in part]), count, int(rng.integers(2**31))
            ).predict(everyone)
            for part in (order[:half], order[half:])
        ]
        scores.append(adjusted_rand_score(*labels))
    return float(np.mean(scores))


def _ordered(means: Floats) -> NDArray[np.intp]:
    """Order clusters by number: which is non-perfused, slow low, intermediate, fast.

    1. Non-perfused has the lowest log relative PE.
    2. Of the others, the two that rise fastest (lowest log relative RT) are the fast ones: the one
       with the longer FT is "fast in slow out", then comes "fast in fast out".
    3. The rest, from the slowest rise to the fastest: "slow low", then "intermediate".
    """
    axis = {name: means[:, FEATURE_NAMES.index(name)] for name in FEATURE_NAMES}
    dark = int(np.argmin(axis["log relative PE"]))
    others = np.delete(np.arange(len(means)), dark)
    by_rise = others[np.argsort(-axis["log relative RT"][others], kind="stable")]
    slow, fast = by_rise[:-2], by_rise[-2:]
    fast = fast[np.argsort(-axis["log relative FT"][fast], kind="stable")]
    return np.concatenate([[dark], slow, fast])


def _codebook(
    mixture: GaussianMixture,
    centre: Floats,
    scale: Floats,
    stability: tuple[tuple[int, float], ...],
    patients: int,
) -> Codebook:
    means = mixture.means_ * scale + centre
    order = _ordered(means)
    covariances = mixture.covariances_ * np.outer(scale, scale)
    weights = mixture.weights_[order]
    return Codebook(
        features=FEATURE_NAMES,
        names=names_for(len(order)),
        means=means[order],
        covariances=covariances[order],
        weights=weights / weights.sum(),
        patients=patients,
        stability=stability,
    )
