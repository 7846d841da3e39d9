"""What a report says of a measured lesion: in its units, against tissue, and nothing made up."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomnode.science.describe import (
    describe_curves,
    describe_subregions,
    describe_tissue,
    describe_whole,
)
from dicomnode.science.findings import UNRELIABLE
from dicomnode.science.kinetics import PARAMETERS, lognormal
from dicomnode.science.loop import Loop
from dicomnode.science.perfusion import Perfusion, Regions, measure_perfusion
from dicomnode.science.sampling import Motion

SHAPE = (18, 24)
TIMES_S = np.linspace(0.0, 60.0, 150)
KINDS = {  # ln AUC, mu, sigma, arrival
    "tissue": (7.0, 3.0, 0.7, 9.0),
    1: (7.0 + np.log(0.5), 3.2, 0.7, 11.0),
    2: (7.0 + np.log(4.0), 2.5, 0.7, 7.0),
}
BASELINE = 2.0
DYNAMIC_RANGE_DB = 30.0
NAMES = ("slow, weak", "fast, strong")


def foot_s(kind: str | int) -> float:
    """Where the steepest rising tangent of a kind's curve leaves the baseline."""
    log_auc, mu, sigma, onset_s = KINDS[kind]
    auc = np.exp(log_auc)
    times_s = np.linspace(onset_s, onset_s + 10, 20_001)
    curve = lognormal(times_s, auc, mu, sigma, onset_s)
    slope = np.gradient(curve, times_s)
    steepest = int(np.argmax(slope))
    return float(times_s[steepest] - curve[steepest] / slope[steepest])


def masks() -> dict[int | str, NDArray[np.bool_]]:
    found: dict[int | str, NDArray[np.bool_]] = {k: np.zeros(SHAPE, np.bool_) for k in KINDS}
    found["tissue"][12:17, 2:22] = True
    found[1][2:9, 3:11] = True
    found[2][2:9, 11:21] = True
    return found


def subregion_map() -> NDArray[np.uint8]:
    label = np.zeros(SHAPE, np.uint8)
    for number in (1, 2):
        label[masks()[number]] = number
    label[2, 3:6] = UNRELIABLE
    return label


@pytest.fixture(scope="module")
def perfusion() -> Perfusion:
    return measured(masks()["tissue"])


@pytest.fixture(scope="module")
def alone() -> Perfusion:
    """Without reference tissue."""
    return measured(np.zeros(SHAPE, np.bool_))


def measured(tissue: NDArray[np.bool_]) -> Perfusion:
    """Measure a loop of known boluses, without noise but that of 8 bits."""
    power = np.full((len(TIMES_S), *SHAPE), BASELINE)
    for kind, mask in masks().items():
        log_auc, mu, sigma, arrival_s = KINDS[kind]
        curve = lognormal(TIMES_S, np.exp(log_auc), mu, sigma, arrival_s)
        power[:, mask] += curve[:, None]
    grey = 255 / DYNAMIC_RANGE_DB * 10 * np.log10(power)
    loop = Loop(
        contrast=np.clip(np.rint(grey), 0, 253).astype(np.uint8),
        bmode=None,
        times_s=TIMES_S,
        spacing_mm=(0.2, 0.2),
        graphics=np.zeros(SHAPE, np.bool_),
        dynamic_range_db=DYNAMIC_RANGE_DB,
    )
    frames = len(TIMES_S)
    kept = np.ones(frames, np.bool_)
    kept[[5, 90]] = False
    motion = Motion(
        shift_px=np.zeros((frames, 2)),
        ncc=np.ones(frames),
        kept=kept,
        reference=40,
        source="contrast",
    )
    regions = Regions(lesion=masks()[1] | masks()[2], ring=np.zeros(SHAPE, np.bool_), tissue=tissue)
    return measure_perfusion(loop, motion, regions, smoothing_px=0.0, bins=75)


def peak(kind: int | str) -> float:
    log_auc, mu, sigma, _ = KINDS[kind]
    return float(np.exp(log_auc + sigma**2 / 2 - mu) / (np.sqrt(2 * np.pi) * sigma))


def test_amplitudes_are_ratios_and_times_differences(perfusion: Perfusion) -> None:
    regions = describe_subregions(subregion_map(), NAMES, perfusion, (0.2, 0.2))
    assert [region.number for region in regions] == [1, 2, UNRELIABLE]
    for region in regions[:2]:
        ratio, difference = region.relative["PE"], region.relative["TTP"]
        assert (ratio.unit, difference.unit) == ("1", "s")
        assert ratio.median == pytest.approx(peak(region.number) / peak("tissue"), rel=0.5)
        later = region.number == 1
        assert (difference.median > 2) if later else (difference.median < -2)


def test_relative_values_follow_the_table_of_parameters(perfusion: Perfusion) -> None:
    region = describe_subregions(subregion_map(), NAMES, perfusion, (0.2, 0.2))[0]
    tissue = describe_tissue(perfusion).parameters
    assert list(region.parameters) == [parameter.name for parameter in PARAMETERS]
    related = {item.name: item for item in PARAMETERS if item.relation != "none"}
    assert list(region.relative) == list(related)
    for name, spread in region.relative.items():
        own, other = region.parameters[name], tissue[name].median
        if related[name].relation == "ratio":
            assert spread.median == pytest.approx(own.median / other)
            assert spread.unit == "1"
        else:
            assert spread.median == pytest.approx(own.median - other)
            assert spread.unit == own.unit == related[name].unit
        assert spread.q1 <= spread.median <= spread.q3


def test_the_whole_is_what_is_reliable(perfusion: Perfusion) -> None:
    label = subregion_map()
    whole = describe_whole(label, perfusion)
    reliable = perfusion.within((label == 1) | (label == 2))
    assert whole.parameters["mTT"].median == pytest.approx(np.median(reliable["mTT"]))
    strong = describe_whole(np.where(label == 1, UNRELIABLE, label), perfusion)
    assert strong.parameters["PE"].q1 > 0.5 * peak(2) > whole.parameters["PE"].q1
    tissue = describe_tissue(perfusion).parameters["PE"].median
    assert whole.relative["PE"].median == pytest.approx(whole.parameters["PE"].median / tissue)


def test_what_is_unreliable_has_an_area_and_no_parameters(perfusion: Perfusion) -> None:
    label = subregion_map()
    (*_, region) = describe_subregions(label, NAMES, perfusion, (0.2, 0.2))
    assert region.area_mm2 == pytest.approx(3 * 0.04)
    assert not region.parameters
    assert not region.relative
    nothing = describe_whole(np.where(label > 0, UNRELIABLE, 0).astype(np.uint8), perfusion)
    assert not nothing.parameters
    assert not nothing.relative


def test_without_reference_tissue_nothing_is_relative(alone: Perfusion) -> None:
    whole = describe_whole(subregion_map(), alone)
    assert whole.parameters
    assert not whole.relative
    assert not describe_tissue(alone).parameters


def test_tissue_is_described_as_it_is(perfusion: Perfusion) -> None:
    tissue = describe_tissue(perfusion)
    assert not tissue.relative
    assert tissue.parameters["PE"].unit == "{a.u.}"
    fitted = perfusion.within(masks()["tissue"])
    assert tissue.parameters["PE"].median == pytest.approx(np.median(fitted["PE"]))
    assert tissue.parameters["mTT"].q3 == pytest.approx(np.quantile(fitted["mTT"], 0.75))
    assert tissue.parameters["TTP"].unit == "s"


def test_every_region_has_the_arrival_and_baseline_of_its_mean_curve(perfusion: Perfusion) -> None:
    label = subregion_map()
    regions = describe_subregions(label, NAMES, perfusion, (0.2, 0.2))
    curves = describe_curves(perfusion, regions, label)
    assert [curve.number for curve in curves] == [None, None, 1, 2, UNRELIABLE]
    known = {"reference tissue": "tissue", "slow, weak": 1, "fast, strong": 2}
    for curve in curves:
        if curve.name in known:
            assert curve.arrival_s == pytest.approx(foot_s(known[curve.name]), abs=0.7)
            assert curve.baseline == pytest.approx(BASELINE, rel=0.05)
        measured = np.isfinite(curve.power)
        assert measured.sum() == len(TIMES_S) - 2
        close = np.abs(curve.fitted - curve.power)[measured] < 0.06 * np.nanmax(curve.power)
        assert close.mean() > 0.95


def test_a_region_without_a_pixel_has_no_arrival(alone: Perfusion) -> None:
    _, tissue = describe_curves(alone, (), subregion_map())
    assert np.isnan(tissue.power).all()
    assert np.isnan(tissue.fitted).all()
    assert tissue.arrival_s is None
    assert tissue.baseline is None
