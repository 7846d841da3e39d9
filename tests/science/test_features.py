import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dicomnode.science.feature_table import FEATURES
from dicomnode.science.features import lesion_features
from dicomnode.science.findings import UNRELIABLE
from dicomnode.science.kinetics import lognormal
from dicomnode.science.subregions.codebook import KINDS, names_for

SPACING_MM = (0.25, 0.2)


def disc(size=61, radius=22):
    rows, columns = np.indices((size, size)) - size // 2
    distance = np.hypot(rows, columns)
    return distance <= radius, (distance > radius) & (distance <= radius + 8), distance


def maps_of(shape, pe=1.0, ttp=10.0, sigma=0.8):
    ttp = np.broadcast_to(ttp, shape)
    late = np.log(np.maximum(50 / ttp, 1))
    return {
        "PE": np.broadcast_to(pe, shape), "TTP": ttp, "mTT": ttp * np.exp(1.5 * sigma**2),
        "RT": 0.8 * ttp,
        "WO50": 1 - np.exp(-(late**2) / (2 * sigma**2)),
    }  # fmt: skip


TISSUE = {name: values.ravel() for name, values in maps_of((1, 1), pe=0.5, ttp=14.0).items()}


def describe(labels, maps, lesion, ring, **changes):
    how = {
        "subregion_map": labels, "names": KINDS, "maps": maps, "lesion": lesion, "ring": ring,
        "tissue": TISSUE, "spacing_mm": SPACING_MM, "enlargement_ratio": 1.2,
    }  # fmt: skip
    return lesion_features(**{**how, **changes})


def test_a_uniform_lesion_is_uniform():
    lesion, ring, _ = disc()
    found = describe(lesion.astype(np.uint8) * 3, maps_of(lesion.shape), lesion, ring)
    assert list(found) == [feature.name for feature in FEATURES]
    assert found["fraction_intermediate"] == 1
    for name in (
        "subregion_entropy",
        "interface_density",
        "rim_core_log_pe",
        "rim_core_ttp",
        "heterogeneity_pe",
        "heterogeneity_ttp",
        "defect_fraction",
        "ring_ttp",
    ):
        assert found[name] == pytest.approx(0, abs=1e-9), name
    assert found["relative_log_pe"] == pytest.approx(np.log(2))
    assert found["relative_ttp"] == pytest.approx(-4)
    assert found["enlargement_ratio"] == 1.2


def test_wash_out_is_that_of_the_curve():
    lesion, ring, _ = disc()
    sigma, ttp = 0.8, 10.0
    found = describe(
        lesion.astype(np.uint8) * 3, maps_of(lesion.shape, ttp=ttp, sigma=sigma), lesion, ring
    )
    peak, late = lognormal([ttp, 50.0], 1.0, np.log(ttp) + sigma**2, sigma)
    assert found["wash_out_50s"] == pytest.approx(1 - late / peak)


def test_rim_core_and_defects():
    lesion, ring, distance = disc()
    core = distance < 11
    pe = np.where(core, 0.1, 1.0)
    labels = np.where(lesion, np.where(core, 1, 5), 0).astype(np.uint8)
    found = describe(labels, maps_of(lesion.shape, pe=pe, ttp=np.where(core, 14.0, 8.0)),
                     lesion, ring)  # fmt: skip
    assert found["rim_core_log_pe"] == pytest.approx(np.log(10))
    assert found["rim_core_ttp"] == pytest.approx(-6)
    assert found["defect_fraction"] == pytest.approx(found["fraction_non_perfused"])
    assert found["ring_log_pe"] == pytest.approx(0)


def test_interface_density_is_length_over_area():
    lesion = np.ones((20, 30), bool)
    labels = np.full((20, 30), 2, np.uint8)
    labels[:, 15:] = 4
    found = describe(labels, maps_of(lesion.shape), lesion, np.zeros_like(lesion))
    assert found["interface_density"] == pytest.approx(1 / (30 * SPACING_MM[1]))
    assert found["subregion_entropy"] == pytest.approx(np.log(2) / np.log(5))


def test_six_sub_regions_add_up_to_five_kinds():
    lesion = np.ones((6, 10), bool)
    labels = np.tile(np.repeat(np.arange(1, 7, dtype=np.uint8), 10).reshape(6, 10), 1)
    found = describe(labels, maps_of(lesion.shape), lesion, ~lesion, names=names_for(6))
    shares = {name: value for name, value in found.items() if name.startswith("fraction_")}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["fraction_intermediate"] == pytest.approx(2 / 6)


def test_gain_does_not_matter():
    lesion, ring, distance = disc()
    labels = np.where(lesion, 1 + (distance > 10), 0).astype(np.uint8)
    rng = np.random.default_rng(1)
    pe, ttp = rng.lognormal(size=lesion.shape), rng.uniform(5, 15, lesion.shape)
    one = describe(labels, maps_of(lesion.shape, pe=pe, ttp=ttp), lesion, ring)
    tissue = {**TISSUE, "PE": TISSUE["PE"] * 7}
    other = describe(labels, maps_of(lesion.shape, pe=7 * pe, ttp=ttp), lesion, ring, tissue=tissue)
    assert other == pytest.approx(one)


def test_what_a_lesion_does_not_define_is_neutral():
    lesion, ring, _ = disc()
    labels = np.where(lesion, UNRELIABLE, 0).astype(np.uint8)
    found = describe(labels, maps_of(lesion.shape), lesion, np.zeros_like(ring),
                     enlargement_ratio=None)  # fmt: skip
    assert found == {feature.name: feature.neutral for feature in FEATURES}


@settings(max_examples=40)
@given(
    values=arrays(np.float32, (5, 6, 7), elements=st.floats(width=32)),
    labels=arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 5, UNRELIABLE])),
)
def test_features_are_finite_whatever_the_maps_hold(values, labels):
    maps = dict(zip(("PE", "TTP", "mTT", "RT", "WO50"), values, strict=True))
    found = describe(labels, maps, labels > 0, labels == 0)
    assert np.isfinite(list(found.values())).all()


def test_every_feature_is_explained():
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(feature.meaning and feature.unit for feature in FEATURES)
