import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from dicomnode.science.curves import Binned
from dicomnode.science.findings import UNRELIABLE
from dicomnode.science.fit import fit_curves
from dicomnode.science.kinetics import evaluate, lognormal
from dicomnode.science.subregions import assign, feature_covariance, pixel_features, unreliable
from dicomnode.science.subregions.borders import redraw
from dicomnode.science.subregions.codebook import FEATURE_NAMES, KINDS, Codebook, kind, names_for
from dicomnode.science.subregions.learning import train_codebook
from dicomnode.science.subregions.potts import merge_specks

CENTRES = np.array(
    [
        [-2.6, 0.0, 0.0, 0.0],
        [0.0, 0.3, 0.2, 0.2],
        [0.9, -0.2, -0.1, -0.1],
        [1.3, -0.5, -0.2, -0.4],
        [1.6, -0.7, -1.0, -0.9],
    ]
)
SPREAD = np.array([0.1, 0.06, 0.07, 0.05])


def book(**changes):
    return dataclasses.replace(
        Codebook(
            features=FEATURE_NAMES,
            names=KINDS,
            means=CENTRES,
            covariances=np.tile(np.diag(SPREAD**2), (5, 1, 1)),
            weights=np.full(5, 0.2),
            patients=100,
            stability=((5, 0.83), (6, 0.79)),
        ),
        **changes,
    )


def patches(rows=40, columns=50):
    """A lesion of five vertical bands, and noisy features of its pixels."""
    truth = np.zeros((rows, columns), np.uint8)
    truth[4:-4, 5:-5] = 1 + (np.arange(columns - 10) * 5) // (columns - 10)
    mask = truth > 0
    rng = np.random.default_rng(5)
    features = CENTRES[truth[mask] - 1] + rng.normal(size=(mask.sum(), 4)) * SPREAD * 2
    return truth, mask, features


def pixels_of(patients, seed=0):
    rng = np.random.default_rng(seed)
    return [
        np.concatenate(
            [c + rng.normal(size=(60, 4)) * SPREAD for c in CENTRES + rng.normal(size=4) * 0.02]
        )
        for _ in range(patients)
    ]


def test_json_gives_the_same_codebook_back():
    codebook = book(beta=0.9)
    text = codebook.to_json()
    back = Codebook.from_json(text)
    assert back.to_json() == text
    np.testing.assert_array_equal(back.means, codebook.means)
    assert back.stability == codebook.stability
    assert json.loads(text)["version"] == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 1}, "version 2, got"),
        ({"features": ["a", "b", "c", "d"]}, "features: expected"),
        ({"weights": [1, 1, 1, 1, 1]}, "weights: expected positive, with sum 1"),
        ({"means": [[0.0, 0.0]]}, "means: expected finite numbers of shape"),
        ({"covariances": np.zeros((5, 4, 4)).tolist()}, "covariances: expected positive definite"),
        ({"names": ["a", "b", "c", "d", "e"]}, "name: expected one of"),
    ],
)
def test_a_codebook_that_does_not_fit_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Codebook.from_json(json.dumps({**json.loads(book().to_json()), **change}))


def test_six_sub_regions_still_have_five_kinds():
    assert names_for(5) == KINDS
    assert [kind(name) for name in names_for(6)] == [
        *KINDS[:3], "intermediate", *KINDS[3:],
    ]  # fmt: skip
    with pytest.raises(ValueError, match="5 or 6"):
        names_for(4)


def test_training_finds_the_kinds_in_their_order_whatever_the_order_of_patients():
    codebook = train_codebook(pixels_of(12), seed=3, counts=(5,))
    assert codebook.names == KINDS
    np.testing.assert_allclose(codebook.means, CENTRES, atol=0.1)
    assert codebook.stability[0][1] > 0.95
    assert codebook.patients == 12
    again = train_codebook(pixels_of(12), seed=3, counts=(5,))
    np.testing.assert_array_equal(again.means, codebook.means)


def test_five_clusters_win_over_six_where_there_are_five():
    codebook = train_codebook(pixels_of(10, seed=4), seed=1)
    assert len(codebook.names) == 5


def test_training_refuses_too_few_patients_and_bad_features():
    with pytest.raises(ValueError, match="at least 4"):
        train_codebook(pixels_of(2), seed=0)
    bad = [*pixels_of(5), np.full((9, 4), np.nan)]
    with pytest.raises(ValueError, match=r"patients\[5\]: expected finite"):
        train_codebook(bad, seed=0)


def test_smoothing_recovers_bands_from_noisy_pixels():
    truth, mask, features = patches()
    none = np.zeros(mask.sum(), bool)
    rough = assign(book(beta=0.0, min_area_mm2=0.0), features, None, mask, none, (0.2, 0.2))
    smooth = assign(book(), features, None, mask, none, (0.2, 0.2))
    assert (rough == truth)[mask].mean() < (smooth == truth)[mask].mean()
    assert (smooth == truth)[mask].mean() > 0.97
    assert (smooth[~mask] == 0).all()


def test_unreliable_pixels_get_no_sub_region_and_do_not_speak():
    truth, mask, features = patches()
    bad = np.random.default_rng(1).random(mask.sum()) < 0.15
    spoilt = np.where(bad[:, None], 99.0, features)
    labels = assign(book(), spoilt, None, mask, bad, (0.2, 0.2))
    assert (labels[mask] == UNRELIABLE).tolist() == bad.tolist()
    good = mask & (labels != UNRELIABLE)
    assert (labels == truth)[good].mean() > 0.95
    everything = assign(book(), features, None, mask, np.ones(mask.sum(), bool), (0.2, 0.2))
    assert (everything[mask] == UNRELIABLE).all()


def test_an_uncertain_pixel_follows_its_neighbours():
    mask = np.ones((7, 7), bool)
    features = np.tile(CENTRES[2], (49, 1))
    features[24] = CENTRES[3]
    covariance = np.zeros((49, 4, 4))
    sure = assign(book(beta=0.3, min_area_mm2=0.0), features, covariance, mask,
                  np.zeros(49, bool), (1.0, 1.0))  # fmt: skip
    covariance[24] = np.diag([2.0, 1.0, 1.0, 1.0])
    unsure = assign(book(beta=0.3, min_area_mm2=0.0), features, covariance, mask,
                    np.zeros(49, bool), (1.0, 1.0))  # fmt: skip
    assert sure[3, 3] == 4
    assert (unsure == 3).all()


def test_specks_below_the_smallest_area_are_merged():
    mask = np.ones((20, 20), bool)
    labels = np.full((20, 20), 3)
    labels[2:5, 2:5], labels[10:17, 10:17] = 5, 1
    features = CENTRES[labels.ravel() - 1]
    found = assign(book(beta=0.0, min_area_mm2=1.0), features, None, mask,
                   np.zeros(400, bool), (0.25, 0.25))  # fmt: skip
    assert (found[2:5, 2:5] == 3).all()
    assert (found[10:17, 10:17] == 1).all()


def test_two_specks_side_by_side_amid_unreliable_pixels_become_one():
    labels = np.full((6, 7), UNRELIABLE, np.uint8)
    labels[2, 2], labels[2, 3:5] = 1, 2
    found = merge_specks(labels, 5, 10.0)
    assert (found[2, 2:5] == 2).all()
    assert (found == UNRELIABLE).sum() == 39


@settings(max_examples=60)
@given(
    labels=arrays(np.uint8, (8, 9), elements=st.sampled_from([0, 1, 2, 3, UNRELIABLE])),
    smallest_px=st.floats(0, 20),
)
def test_specks_that_are_left_have_no_other_sub_region_next_to_them(labels, smallest_px):
    found = merge_specks(labels, 3, smallest_px)
    divided = (labels > 0) & (labels < UNRELIABLE)
    np.testing.assert_array_equal(found[~divided], labels[~divided])
    for number in (1, 2, 3):
        pieces, count = ndimage.label(found == number)
        for piece in (pieces == each for each in range(1, count + 1)):
            beside = ndimage.binary_dilation(piece) & ~piece & divided
            assert piece.sum() >= smallest_px or not beside.any()
    np.testing.assert_array_equal(merge_specks(found, 3, smallest_px), found)


def measured(gain=1.0, later_s=0.0):
    times_s = np.linspace(0, 70, 150)
    rng = np.random.default_rng(0)
    auc = np.repeat([300.0, 2000.0, 6000.0], 30)
    mu, sigma = np.repeat([3.2, 2.9, 2.4], 30), np.repeat([0.85, 0.8, 0.6], 30)
    mean = 1.5 + lognormal(times_s[:, None], auc, mu, sigma, 6.0)
    power = mean * rng.gamma(6, 1 / 6, mean.shape) * gain
    return fit_curves(power, times_s + later_s, looks=6)


def test_gain_and_the_start_of_the_recording_do_not_change_features_or_labels():
    first, second = measured(), measured(gain=20.0, later_s=30.0)
    features = []
    for fit in (first, second):
        parameters = evaluate(fit, 0.0)
        tissue = {name: values[30:60] for name, values in parameters.items()}
        features.append(pixel_features(parameters, tissue))
    np.testing.assert_allclose(*features, atol=5e-3)
    mask = np.ones((9, 10), bool)
    one, other = (assign(book(), each, None, mask, np.zeros(90, bool), (0.3, 0.3))
                  for each in features)  # fmt: skip
    np.testing.assert_array_equal(one, other)


def test_feature_covariance_agrees_with_sampling_the_fit():
    rng = np.random.default_rng(2)
    fit, n = measured(), 20_000
    root = rng.normal(size=(5, 5)) * 0.01
    drawn = rng.multivariate_normal(np.zeros(5), root @ root.T, n)

    def fit_of(off):
        size = len(off)
        return dataclasses.replace(
            fit, log_pe=fit.log_pe[40] + off[:, 0], log_tp=fit.log_tp[40] + off[:, 1],
            log_curvature=fit.log_curvature[40] + off[:, 2], t0_s=fit.t0_s[40] + off[:, 3],
            baseline=np.ones(size), covariance=np.tile(root @ root.T, (size, 1, 1)),
            qof=np.ones(size), failed=np.zeros(size, bool),
        )  # fmt: skip

    middle, cloud = fit_of(np.zeros((1, 5))), fit_of(drawn)
    tissue = evaluate(middle, 0.0)
    sampled = np.cov(pixel_features(evaluate(cloud, 0.0), tissue).T)
    carried = feature_covariance(middle, pixel_features(tissue, tissue), tissue)[0]
    np.testing.assert_allclose(carried, sampled, rtol=0.1, atol=0.05 * np.abs(sampled).max())
    assert not unreliable(book(), middle).any()


@settings(max_examples=40)
@given(values=arrays(np.float64, (4, 6), elements=st.floats(0, 1e300) | st.just(np.nan)))
def test_features_are_always_finite(values):
    names = ("PE", "TTP", "FT", "RT")
    tissue = dict.fromkeys(names, np.ones(1))
    features = pixel_features(dict(zip(names, values, strict=True)), tissue)
    assert np.isfinite(features).all()


def test_what_cannot_be_placed_is_refused_by_name():
    parameters = dict.fromkeys(("PE", "TTP", "FT", "RT"), np.ones(3))
    with pytest.raises(ValueError, match="tissue: expected finite times"):
        pixel_features(parameters, {**parameters, "PE": np.zeros(3)})
    mask = np.ones((2, 2), bool)
    with pytest.raises(ValueError, match="one row for each of the mask's 4 pixels"):
        assign(book(), np.zeros((3, 4)), None, mask, np.zeros(4, bool), (1.0, 1.0))


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_without_neighbours_a_permutation_of_pixels_permutes_the_labels(seed):
    rng = np.random.default_rng(seed)
    mask, none = np.ones((6, 7), bool), np.zeros(42, bool)
    features, order = rng.normal(size=(42, 4)), rng.permutation(42)
    alone = book(beta=0.0, min_area_mm2=0.0)
    labels = assign(alone, features, None, mask, none, (1.0, 1.0)).ravel()
    permuted = assign(alone, features[order], None, mask, none, (1.0, 1.0)).ravel()
    np.testing.assert_array_equal(permuted, labels[order])


@pytest.mark.parametrize("where", [(), ((0, 0),), ((4, 5),), ((0, 0), (0, 1), (4, 5))])
def test_lesions_of_hardly_any_pixel_and_at_the_edge_are_divided(where):
    mask = np.zeros((5, 6), bool)
    for pixel in where:
        mask[pixel] = True
    size = len(where)
    labels = assign(book(), np.tile(CENTRES[3], (size, 1)), None, mask, np.zeros(size, bool),
                    (0.2, 0.2))  # fmt: skip
    np.testing.assert_array_equal(labels, np.where(mask, 4, 0))
    samples = Binned(times_s=np.arange(9.0), total=np.ones((9, size)), count=np.ones((9, 1)))
    np.testing.assert_array_equal(redraw(labels, samples, mask, 5, 1.2), labels)


def test_pixels_without_features_are_unreliable():
    mask = np.ones((4, 4), bool)
    features = np.tile(CENTRES[2], (16, 1))
    features[5, 2] = np.nan
    labels = assign(book(), features, None, mask, np.zeros(16, bool), (1.0, 1.0))
    assert labels[1, 1] == UNRELIABLE
    assert (labels == 3).sum() == 15
