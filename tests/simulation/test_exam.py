from dataclasses import replace

import numpy as np
import pytest

from dicomnode.science.loop import linearise
from dicomnode.simulation import Geometry, SimulatedExam, recipe_for, simulate
from dicomnode.simulation.refusals import bmode_only, without_contrast


def mean_power(sim: SimulatedExam, region: np.ndarray) -> np.ndarray:
    power = linearise(sim.loop.contrast, sim.truth.dynamic_range_db)
    return np.asarray(power[:, region & ~sim.loop.graphics].mean(axis=1), np.float64)


def small(kind: str = "benign", seed: int = 3, **overrides: object) -> SimulatedExam:
    return simulate(recipe_for(kind, seed, preset="small", frames=12, **overrides))


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two = small(), small()
    np.testing.assert_array_equal(one.loop.contrast, two.loop.contrast)
    np.testing.assert_array_equal(one.loop.bmode, two.loop.bmode)
    np.testing.assert_array_equal(one.truth.subregion_map, two.truth.subregion_map)


def test_another_seed_gives_another_patient() -> None:
    assert not np.array_equal(small(seed=3).truth.lesion_mask, small(seed=4).truth.lesion_mask)


def test_each_habitat_enhances_as_its_truth_says(quiet_exam: SimulatedExam) -> None:
    truth, times_s = quiet_exam.truth, quiet_exam.loop.times_s
    for number in range(2, 6):
        region = truth.subregion_map == number
        measured, expected = mean_power(quiet_exam, region), truth.power[number - 1]
        assert np.corrcoef(measured, expected)[0, 1] > 0.95
        assert times_s[measured.argmax()] == pytest.approx(times_s[expected.argmax()], abs=4.0)
        assert measured.max() == pytest.approx(expected.max(), rel=0.45)


def test_non_perfused_habitat_stays_dark(quiet_exam: SimulatedExam) -> None:
    dark = quiet_exam.truth.subregion_map == 1
    bright = quiet_exam.truth.subregion_map == 5
    assert mean_power(quiet_exam, dark).max() < 0.25 * mean_power(quiet_exam, bright).max()


def test_nothing_enhances_before_arrival(quiet_exam: SimulatedExam) -> None:
    curve = mean_power(quiet_exam, quiet_exam.truth.lesion_mask)
    before = quiet_exam.loop.times_s < quiet_exam.truth.arrival_s - 2.5
    assert curve[before].max() < 0.05 * curve.max()


def test_tissue_lies_where_the_shift_says() -> None:
    sim = small(
        breathing_mm=2.5, out_of_plane_mm=0.0, layout="mono-left", persistence=0.0, drift_mm=0.0
    )
    assert sim.loop.bmode is not None
    shift = sim.truth.shift_px
    far, near = np.argmax(shift[:, 1]), np.argmin(shift[:, 1])
    lag = np.rint(shift[far] - shift[near]).astype(int)
    assert lag[1] >= 5
    inner = np.s_[40:-20, 30:-30]
    still = sim.loop.bmode[near].astype(float)
    moved = np.roll(sim.loop.bmode[far].astype(float), (-lag[0], -lag[1]), axis=(0, 1))
    aligned = np.corrcoef(still[inner].ravel(), moved[inner].ravel())[0, 1]
    unaligned = np.corrcoef(still[inner].ravel(), sim.loop.bmode[far][inner].astype(float).ravel())[
        0, 1
    ]
    assert aligned > 0.75
    assert aligned > unaligned + 0.2


def test_masks_agree_with_each_other(quiet_exam: SimulatedExam) -> None:
    truth = quiet_exam.truth
    np.testing.assert_array_equal(truth.subregion_map > 0, truth.lesion_mask)
    assert truth.enhanced_mask[truth.lesion_mask].all()


def test_a_second_injection_is_the_same_patient_and_other_bubbles() -> None:
    first, second = small(), small(injection=2)
    np.testing.assert_array_equal(first.truth.subregion_map, second.truth.subregion_map)
    assert not np.array_equal(first.loop.contrast, second.loop.contrast)


def test_clips_leave_gaps_on_the_clock() -> None:
    sim = small(clips=3, gap_s=7.0)
    steps_s = np.diff(sim.loop.times_s)
    assert sim.clip_starts == (0, 4, 8)
    assert (steps_s > 7).nonzero()[0].tolist() == [3, 7]


def test_a_real_picture_lends_its_lesion() -> None:
    rows, columns = np.ogrid[:400, :500]
    mask = ((rows - 150) / 60) ** 2 + ((columns - 300) / 100) ** 2 < 1
    image = np.where(mask, 40, 120).astype(np.uint8)
    recipe = recipe_for(
        "benign", 5, preset="small", frames=4, size_mm=15.0, layout="mono-left", posterior_db=0.0
    )
    sim = simulate(recipe, Geometry(image, mask))
    wide = np.ptp(np.nonzero(sim.truth.lesion_mask)[1]) * recipe.pane.spacing_mm
    high = np.ptp(np.nonzero(sim.truth.lesion_mask)[0]) * recipe.pane.spacing_mm
    assert wide == pytest.approx(15.0, abs=0.6)
    assert high == pytest.approx(9.0, abs=0.6)
    assert sim.loop.bmode is not None
    lesion = sim.truth.lesion_mask
    inside, outside = sim.loop.bmode[0][lesion].mean(), sim.loop.bmode[0][~lesion].mean()
    assert inside < outside - 30


def test_geometry_without_a_lesion_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a lesion in the mask"):
        Geometry(np.zeros((5, 5), np.uint8), np.zeros((5, 5), bool))


def test_without_an_injection_nothing_washes_in() -> None:
    sim = without_contrast(3, frames=20)
    means = sim.loop.contrast.mean(axis=(1, 2))
    assert means.max() < 1.2 * means.min() + 1


def test_bmode_only_is_one_grey_pane() -> None:
    sim = bmode_only(3, frames=4)
    frame = next(sim.frames())
    assert sim.loop.bmode is None
    assert np.ptp(frame[40:].astype(int), axis=-1).max() == 0


def test_overrides_must_name_a_field() -> None:
    with pytest.raises(ValueError, match="no field is called 'colour'"):
        recipe_for("benign", 1, colour="red")


def test_parts_draw_from_their_own_dice() -> None:
    recipe = recipe_for("benign", 6, preset="small", frames=4, looks=1)
    changed = replace(recipe, echo=replace(recipe.echo, looks=2))
    np.testing.assert_array_equal(
        simulate(recipe).truth.subregion_map, simulate(changed).truth.subregion_map
    )
