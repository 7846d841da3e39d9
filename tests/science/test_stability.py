import numpy as np
import pytest

from dicomnode.science.findings import UNRELIABLE
from dicomnode.science.kinetics import lognormal
from dicomnode.science.loop import Loop
from dicomnode.science.perfusion import Regions, measure_perfusion
from dicomnode.science.sampling import Motion
from dicomnode.science.subregions import divide, pixel_features
from dicomnode.science.subregions.codebook import FEATURE_NAMES, KINDS, Codebook
from dicomnode.science.subregions.stability import BLOCK_S, draws, stability

FRAMES, SIDE = 160, 26
SPACING = (0.3, 0.3)
TISSUE_MU = 3.0


def loop_of(mean, seed=0, brighter=0):
    """Mean echo power (T, R, C) as log-compressed speckle, ``brighter`` grey levels up."""
    rng = np.random.default_rng(seed)
    power = mean * rng.gamma(3, 1 / 3, mean.shape)
    level = np.rint(np.log10(power) * 10 * 255 / 60)
    grey = np.clip(level, 0, 220).astype(np.uint8) + np.uint8(brighter)
    return Loop(
        contrast=grey, bmode=None, times_s=np.arange(FRAMES) / 2.0, spacing_mm=SPACING,
        graphics=np.zeros((SIDE, SIDE), bool),
    )  # fmt: skip


def perfusion_of(mu, lesion=None, **changes):
    """Bolus whose median time is e^mu (R, C); the lesion is the middle unless told otherwise."""
    times_s = np.arange(FRAMES) / 2.0
    auc = np.where(mu == TISSUE_MU, 3e4, 6e4)
    mean = 20 + np.moveaxis(lognormal(times_s, auc[..., None], mu[..., None], 0.7, 8.0), -1, 0)
    if lesion is None:
        lesion = np.zeros((SIDE, SIDE), bool)
        lesion[5:-5, 5:-5] = True
    tissue = np.zeros((SIDE, SIDE), bool)
    tissue[:4], tissue[-4:] = True, True
    still = Motion(
        shift_px=np.zeros((FRAMES, 2)), ncc=np.ones(FRAMES), kept=np.ones(FRAMES, bool),
        reference=0, source="contrast",
    )  # fmt: skip
    regions = Regions(lesion=lesion, ring=np.zeros_like(lesion), tissue=tissue & ~lesion)
    return measure_perfusion(loop_of(mean, **changes), still, regions, smoothing_px=1.0, bins=80)


def halves():
    """Fast on the left, slow on the right, tissue around."""
    mu = np.full((SIDE, SIDE), TISSUE_MU)
    mu[5:-5, 5:13], mu[5:-5, 13:-5] = 2.4, 3.2
    return mu


def book_for(perfusion, slow, **changes):
    """A codebook of what is slow (number 3) and fast (number 5) in this very lesion."""
    lesion = perfusion.regions.lesion
    features = pixel_features(perfusion.within(lesion), perfusion.within(perfusion.regions.tissue))
    means = np.array([[-9.0, 0, 0, 0], [-9.0, 1, 0, 0], [0.0] * 4, [-9.0, 2, 0, 0], [0.0] * 4])
    means[2], means[4] = np.median(features[slow], axis=0), np.median(features[~slow], axis=0)
    return Codebook(
        features=FEATURE_NAMES, names=KINDS, means=means,
        covariances=np.tile(np.diag(np.array([0.2, 0.15, 0.15, 0.15]) ** 2), (5, 1, 1)),
        weights=np.full(5, 0.2), min_qof=0.1, **changes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def clean():
    perfusion = perfusion_of(halves())
    slow = np.nonzero(perfusion.regions.lesion)[1] >= 13
    codebook = book_for(perfusion, slow)
    return perfusion, codebook, divide(perfusion, codebook, SPACING)


def test_two_kinds_far_apart_are_found_and_would_be_found_again(clean):
    perfusion, codebook, labels = clean
    lesion = perfusion.regions.lesion
    assert (labels[lesion] == np.where(halves()[lesion] > TISSUE_MU, 3, 5)).mean() > 0.97
    found = stability(perfusion, codebook, labels, SPACING)
    assert found is not None
    assert found.ari > 0.9
    assert found.replicates == 7
    np.testing.assert_array_equal(np.isnan(found.agreement), ~lesion)
    assert np.nanmin(found.agreement) >= 0
    assert np.nanmean(found.agreement) > 0.95


def test_a_map_of_noise_would_not_be_found_again():
    mu = np.full((SIDE, SIDE), TISSUE_MU)
    mu[5:-5, 5:-5] = 2.7
    perfusion = perfusion_of(mu)
    features = pixel_features(
        perfusion.within(perfusion.regions.lesion), perfusion.within(perfusion.regions.tissue)
    )
    later = features[:, 1] > np.median(features[:, 1])
    codebook = book_for(perfusion, later, beta=0.0, min_area_mm2=0.0)
    labels = divide(perfusion, codebook, SPACING)
    found = stability(perfusion, codebook, labels, SPACING)
    assert found is not None
    assert found.ari < 0.5


def test_the_same_input_gives_the_same_answer(clean):
    first, again = (stability(*clean, SPACING) for _ in range(2))
    assert first.ari == again.ari
    np.testing.assert_array_equal(first.agreement, again.agreement)


def test_gain_changes_no_label(clean):
    _, codebook, labels = clean
    louder = perfusion_of(halves(), brighter=25)
    np.testing.assert_array_equal(divide(louder, codebook, SPACING), labels)


def test_where_nothing_was_divided_there_is_no_stability(clean):
    perfusion, codebook, labels = clean
    nothing = np.where(labels > 0, UNRELIABLE, 0).astype(np.uint8)
    assert stability(perfusion, codebook, nothing, SPACING) is None
    with pytest.raises(ValueError, match="replicates: expected at least 1, got 0"):
        stability(perfusion, codebook, labels, SPACING, replicates=0)


@pytest.mark.parametrize("where", [(slice(9, 10), slice(9, 10)), (slice(6, 20), slice(20, SIDE))])
def test_a_lesion_of_one_pixel_and_one_at_the_edge(clean, where):
    lesion = np.zeros((SIDE, SIDE), bool)
    lesion[where] = True
    perfusion = perfusion_of(halves(), lesion)
    labels = divide(perfusion, clean[1], SPACING)
    found = stability(perfusion, clean[1], labels, SPACING)
    assert found is not None
    assert np.isfinite(found.ari)
    np.testing.assert_array_equal(np.isfinite(found.agreement), lesion)


@pytest.mark.parametrize("gap_s", [0.0, 20.0, 590.0])
def test_a_replicate_draws_as_many_blocks_as_hold_samples_whatever_the_gap_between_clips(gap_s):
    clip = np.arange(80) / 2.0
    since_s = np.concatenate([clip, 40.0 + gap_s + clip])
    often = draws(since_s, 50)
    first_of_block = np.unique(since_s // BLOCK_S, return_index=True)[1]
    assert (often[:, first_of_block].sum(axis=1) == first_of_block.size).all()
    assert (often.max(axis=1) > 1).all()
    np.testing.assert_array_equal(often, np.repeat(often[:, first_of_block], np.diff(
        np.append(first_of_block, since_s.size)), axis=1))  # fmt: skip
    np.testing.assert_array_equal(often[:7], draws(since_s, 7))
