"""The method as a whole, on simulated exams whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from dicomnode.config import default_models_dir
from dicomnode.errors import RefusedError
from dicomnode.inference.models import Models, load_models
from dicomnode.pipeline import Recipe, Timing, measure
from dicomnode.science.findings import Findings
from dicomnode.science.loop import Loop
from dicomnode.simulate import SimulatedExam, recipe_for, simulate
from dicomnode.simulate.refusals import bmode_only, without_contrast

SEED = 8_100_001


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models(default_models_dir())


@pytest.fixture(scope="module")
def exam() -> SimulatedExam:
    return simulate(recipe_for("malignant", SEED, preset="small", layout="mono-left"))


@pytest.fixture(scope="module")
def findings(exam: SimulatedExam, models: Models) -> Findings:
    return measure(exam.loop, models, Recipe())


def test_the_lesion_is_found_where_it_is(exam: SimulatedExam, findings: Findings) -> None:
    shift = np.rint(exam.truth.shift_px[findings.reference_frame]).astype(int)
    truth = np.roll(exam.truth.lesion_mask, tuple(shift), axis=(0, 1))
    both = np.count_nonzero(truth & findings.lesion_mask)
    dice = 2 * both / (np.count_nonzero(truth) + np.count_nonzero(findings.lesion_mask))
    assert dice > 0.75


def test_regions_are_disjoint_and_sub_regions_fill_the_lesion(findings: Findings) -> None:
    regions = np.stack([findings.lesion_mask, findings.ring_mask, findings.tissue_mask])
    assert (regions.sum(axis=0) <= 1).all()
    np.testing.assert_array_equal(findings.subregion_map > 0, findings.lesion_mask)
    assert sum(region.fraction for region in findings.subregions) == pytest.approx(1.0)
    area = sum(region.area_mm2 for region in findings.subregions)
    assert area == pytest.approx(findings.lesion.area_mm2)


def test_no_nan_leaves_the_lesion(findings: Findings) -> None:
    for name, image in findings.maps.items():
        assert np.isfinite(image[findings.lesion_mask]).all(), name
    assert all(np.isfinite(value) for value in findings.features.values())


def test_the_same_loop_gives_the_same_findings(
    exam: SimulatedExam, findings: Findings, models: Models
) -> None:
    again = measure(exam.loop, models, Recipe())
    np.testing.assert_array_equal(again.subregion_map, findings.subregion_map)
    assert again.features == findings.features
    assert again.diagnosis == findings.diagnosis


def test_every_model_is_named_with_what_it_was_trained_on(findings: Findings) -> None:
    assert {use.task for use in findings.models} == {
        "segmentation",
        "sub-regions",
        "classification",
    }
    assert all("simulated" in use.trained_on for use in findings.models)


def test_steps_are_timed_even_when_the_exam_is_refused(models: Models) -> None:
    timing = Timing()
    loop = simulate(recipe_for("benign", SEED + 1, preset="small")).loop
    measure(loop, models, Recipe(), timing)
    assert {"motion", "segment", "perfusion", "sub-regions", "diagnosis"} <= set(timing)


def refused(loop: Loop, models: Models) -> set[str]:
    with pytest.raises(RefusedError) as caught:
        measure(loop, models, Recipe())
    return {reason.code for reason in caught.value.reasons}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_contrast_agent_nothing_is_measured(models: Models, seed: int) -> None:
    assert "no-bolus" in refused(without_contrast(seed).loop, models)


def test_a_bmode_loop_taken_for_contrast_is_refused(models: Models) -> None:
    assert "no-bolus" in refused(bmode_only(4).loop, models)


def test_noise_is_refused(exam: SimulatedExam, models: Models) -> None:
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 90, exam.loop.contrast.shape).astype(np.uint8)
    assert "no-bolus" in refused(replace(exam.loop, contrast=noise), models)


def test_a_constant_loop_is_refused(exam: SimulatedExam, models: Models) -> None:
    flat = np.full_like(exam.loop.contrast, 40)
    assert "no-bolus" in refused(replace(exam.loop, contrast=flat), models)


def test_too_few_frames_for_single_pixels_leave_the_lesion_undivided_and_unjudged(
    exam: SimulatedExam, models: Models
) -> None:
    few = slice(None, None, 5)
    loop = exam.loop
    assert loop.bmode is not None
    sparse = replace(
        loop, contrast=loop.contrast[few], bmode=loop.bmode[few], times_s=loop.times_s[few]
    )
    found = measure(sparse, models, Recipe())
    assert [region.name for region in found.subregions] == ["unreliable"]
    assert found.diagnosis.decision == "indeterminate"
    assert found.diagnosis.malignant_probability is None
    assert found.diagnosis.reasons[0].code == "unreliable-perfusion"
