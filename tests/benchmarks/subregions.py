"""Sub-regions of phantom patients: against the truth, a repeat, a peer and what blur leaves.

A codebook is learnt from :data:`LEARNT` patients as :mod:`dicomnode.training.codebook` learns it,
and :data:`JUDGED` others are divided with it, within their true outline. All figures are medians
over those others, of seeds that nothing was tuned on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from dicomnode.science.curves import bin_power, bin_times, wash_in
from dicomnode.science.fit import fit_binned
from dicomnode.science.kinetics import evaluate
from dicomnode.science.perfusion import Perfusion, measure_perfusion
from dicomnode.science.subregions import (
    assign,
    divide,
    feature_covariance,
    pixel_features,
    unreliable,
)
from dicomnode.science.subregions.codebook import Codebook
from dicomnode.science.subregions.stability import stability
from dicomnode.training.codebook import (
    WRONG_RANGE_DB,
    TrainingPixels,
    learnt,
    together,
    training_pixels,
)
from tests.benchmarks.phantom import RANGE_DB, SPACING_MM, Phantom, phantom
from tests.benchmarks.row import Row

__all__ = ["sub_regions"]

Labels = NDArray[np.uint8]

LEARNT, JUDGED = 80, 24
FIRST_LEARNT, FIRST_JUDGED = 7_300_000, 7_400_000
SPACING = (SPACING_MM, SPACING_MM)
SMOOTHING_PX, BINS = 1.0, 64
"""As in :class:`dicomnode.pipeline.Recipe`."""
KINDS = 5


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Adjusted Rand index to the truth and to a repeat, and share of pixels rightly numbered."""

    truth: float
    repeat: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One patient, measured at the true dynamic range, in a repeat and at wrong ones."""

    phantom: Phantom
    first: Perfusion
    repeat: Perfusion
    wrong: tuple[Perfusion, ...]

    @property
    def lesion(self) -> NDArray[np.bool_]:
        return self.phantom.regions.lesion

    def accuracy(self, labels: Labels) -> float:
        return float(np.mean(labels[self.lesion] == self.phantom.truth[self.lesion]))

    def scores(self, first: Labels, repeat: Labels) -> Scores:
        inside = self.lesion
        return Scores(
            truth=adjusted_rand_score(self.phantom.truth[inside], first[inside]),
            repeat=adjusted_rand_score(first[inside], repeat[inside]),
            accuracy=self.accuracy(first),
        )


def sub_regions(learn: int = LEARNT, judge: int = JUDGED) -> Iterator[Row]:
    """Every figure; about two minutes of one core."""
    lessons, own = _lessons(learn)
    codebook = learnt(lessons)
    # one patient after the other: their loops need not be held together
    found = [_judged(_patient(FIRST_JUDGED + i), codebook, own) for i in range(judge)]
    for name, note in NOTES.items():
        yield Row(name, _words([each[name] for each in found]), note)
    yield from _range_rows(found)


THREE = "ARI to truth / to a repeat / label accuracy"
OURS = "sub-regions: codebook, borders redrawn"
NOTES = {
    OURS: f"{THREE}; reach 0.88 / 0.93 / 0.95",
    "  the same, borders left as assigned": THREE,
    "  and the pixels' covariance added": THREE,
    "  and added to clusters without their own": THREE,
    "  peer: k-means of each patient alone": f"{THREE}; numbered by rising peak",
    "  blur alone: noise-free curves, as assigned": "ARI to truth / label accuracy",
    "  stability by bootstrap, against a repeat": "median ARI of either",
}


def _words(found: Sequence[tuple[float, ...]]) -> str:
    return "/".join(f"{value:.3f}" for value in np.median(np.array(found), axis=0))


def _range_rows(found: Sequence[dict[str, tuple[float, ...]]]) -> Iterator[Row]:
    accuracy = float(np.median([each[OURS][2] for each in found]))
    for number, wrong_db in enumerate(WRONG_RANGE_DB):
        wrong = np.median([each["wrong range"][number] for each in found])
        yield Row(
            f"  dynamic range wrong by {wrong_db:+.0f} dB",
            f"{wrong - accuracy:+.3f}",
            f"change of label accuracy, to {wrong:.3f}; may fall by 0.03",
        )


def _measured(patient: Phantom, range_db: float = RANGE_DB) -> Perfusion:
    loop = replace(patient.loop, dynamic_range_db=range_db)
    return measure_perfusion(
        loop, patient.still, patient.regions, smoothing_px=SMOOTHING_PX, bins=BINS
    )


def _patient(seed: int) -> Patient:
    first = phantom(seed)
    return Patient(
        phantom=first,
        first=_measured(first),
        repeat=_measured(phantom(seed, repeat=1)),
        wrong=tuple(_measured(first, RANGE_DB + wrong_db) for wrong_db in WRONG_RANGE_DB),
    )


def _lessons(count: int) -> tuple[list[TrainingPixels], NDArray[np.float64]]:
    """What each patient teaches, and the mean covariance (K, D, D) of single pixels of a kind."""
    lessons, own, pixels = [], np.zeros((KINDS, 4, 4)), np.zeros((KINDS, 1, 1))
    for i in range(count):
        patient = phantom(FIRST_LEARNT + i)
        measured = _measured(patient)
        wrong = _measured(patient, RANGE_DB + WRONG_RANGE_DB[i % 2])
        lessons.append(
            together([training_pixels(each, patient.truth) for each in (measured, wrong)])
        )
        truth = patient.truth[patient.regions.lesion]
        covariance = _covariance(measured)
        for kind in range(KINDS):
            own[kind] += covariance[truth == kind + 1].sum(axis=0)
            pixels[kind] += np.count_nonzero(truth == kind + 1)
    return lessons, own / pixels


def _features(perfusion: Perfusion) -> NDArray[np.float64]:
    tissue = perfusion.within(perfusion.regions.tissue)
    return pixel_features(perfusion.within(perfusion.regions.lesion), tissue)


def _covariance(perfusion: Perfusion) -> NDArray[np.float64]:
    inside = perfusion.regions.lesion[perfusion.fitted]
    tissue = perfusion.within(perfusion.regions.tissue)
    everything = pixel_features(perfusion.parameters, tissue)
    covariance: NDArray[np.float64] = feature_covariance(perfusion.fit, everything, tissue)[inside]
    return covariance


def _assigned(perfusion: Perfusion, codebook: Codebook, *, added: bool = False) -> Labels:
    inside = perfusion.regions.lesion[perfusion.fitted]
    return assign(
        codebook,
        _features(perfusion),
        _covariance(perfusion) if added else None,
        perfusion.regions.lesion,
        unreliable(codebook, perfusion.fit)[inside],
        SPACING,
    )


def _without(codebook: Codebook, own: NDArray[np.float64]) -> Codebook:
    """The codebook with the pixels' mean covariance taken out of its clusters."""
    values, axes = np.linalg.eigh(codebook.covariances - own)
    least = 0.1 * np.linalg.eigvalsh(codebook.covariances).min(axis=1, keepdims=True)
    held = np.maximum(values, least)
    return replace(codebook, covariances=(axes * held[:, None, :]) @ axes.transpose(0, 2, 1))


def _clustered(perfusion: Perfusion) -> Labels:
    """K-means of one patient's own pixels, numbered by rising log relative PE."""
    features = _features(perfusion)
    means = KMeans(KINDS, n_init=4, random_state=0).fit(StandardScaler().fit_transform(features))
    rank = np.argsort(np.argsort(means.cluster_centers_[:, 0]))
    labels = np.zeros(perfusion.regions.lesion.shape, np.uint8)
    labels[perfusion.regions.lesion] = 1 + rank[means.labels_]
    return labels


def _noise_free(patient: Phantom, codebook: Codebook) -> Labels:
    """The map of what the pixels would show without speckle."""
    regions, times_s = patient.regions, patient.loop.times_s
    power = patient.noise_free[:, regions.measured]
    curve = power.mean(axis=1, dtype=np.float64)
    fit = fit_binned(bin_power(power, bin_times(times_s, BINS, wash_in_s=wash_in(curve, times_s))))
    parameters, inside = evaluate(fit, 0.0), regions.lesion[regions.measured]
    features = pixel_features(
        {name: values[inside] for name, values in parameters.items()},
        {name: values[~inside] for name, values in parameters.items()},
    )
    sure = np.zeros(np.count_nonzero(inside), np.bool_)
    return assign(codebook, features, None, regions.lesion, sure, SPACING)


def _judged(
    patient: Patient, codebook: Codebook, own: NDArray[np.float64]
) -> dict[str, tuple[float, ...]]:
    first = divide(patient.first, codebook, SPACING)
    repeat = divide(patient.repeat, codebook, SPACING)
    sharper = _without(codebook, own)
    pairs = (
        (first, repeat),
        tuple(_assigned(each, codebook) for each in (patient.first, patient.repeat)),
        tuple(_assigned(each, codebook, added=True) for each in (patient.first, patient.repeat)),
        tuple(_assigned(each, sharper, added=True) for each in (patient.first, patient.repeat)),
        tuple(_clustered(each) for each in (patient.first, patient.repeat)),
    )
    scores = [patient.scores(*pair) for pair in pairs]
    found = {
        name: (each.truth, each.repeat, each.accuracy)
        for name, each in zip(NOTES, scores, strict=False)
    }
    blurred = _noise_free(patient.phantom, codebook)
    bound = patient.scores(blurred, blurred)
    found["  blur alone: noise-free curves, as assigned"] = bound.truth, bound.accuracy
    foretold = stability(patient.first, codebook, first, SPACING)
    found["  stability by bootstrap, against a repeat"] = (
        foretold.ari if foretold else np.nan,
        scores[0].repeat,
    )
    wrong = [patient.accuracy(divide(each, codebook, SPACING)) for each in patient.wrong]
    return {**found, "wrong range": tuple(wrong)}
