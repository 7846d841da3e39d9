"""The method as a whole, on simulated exams whose truth is known."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomnode import pipeline
from dicomnode.config import default_models_dir
from dicomnode.errors import RefusedError
from dicomnode.inference.models import Models, load_models
from dicomnode.inference.segment import Segmentation
from dicomnode.pipeline import Timing, measure
from dicomnode.recipe import Recipe
from dicomnode.science import quality
from dicomnode.science.findings import UNRELIABLE, Findings
from dicomnode.science.loop import Loop
from dicomnode.simulation import SimulatedExam, recipe_for, simulate
from dicomnode.simulation.refusals import bmode_only, without_contrast

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


def test_every_step_is_timed_and_nothing_is_done_between_two(
    exam: SimulatedExam, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[str] = []
    outside: list[str] = []

    class Watched(Timing):
        @contextmanager
        def step(self, name: str) -> Iterator[None]:
            assert not running, "a step within a step is counted twice"
            running.append(name)
            with super().step(name):
                yield
            running.pop()

    def watched(name: str, work: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if not running:
                outside.append(name)
            return work(*args, **kwargs)

        return call

    for name in ("stability", "register", "summary_images", "divide", "_peak_picture"):
        monkeypatch.setattr(pipeline, name, watched(name, getattr(pipeline, name)))
    for name in ("lesion", "subregions", "whole", "tissue", "curves"):
        described = f"describe_{name}"
        monkeypatch.setattr(pipeline, described, watched(described, getattr(pipeline, described)))
    for name in ("early", "assess"):
        monkeypatch.setattr(quality, name, watched(name, getattr(quality, name)))
    timing = Watched()
    measure(exam.loop, models, Recipe(), timing)
    assert outside == []
    assert list(timing) == [
        "quality", "motion", "segment", "perfusion", "sub-regions", "diagnosis", "stability",
        "describe",
    ]  # fmt: skip


def test_steps_are_timed_even_when_the_exam_is_refused(models: Models) -> None:
    timing = Timing()
    with pytest.raises(RefusedError):
        measure(without_contrast(1).loop, models, Recipe(), timing)
    assert set(timing) == {"quality"}


def reasons(loop: Loop, models: Models) -> dict[str, str]:
    with pytest.raises(RefusedError) as caught:
        measure(loop, models, Recipe())
    return {reason.code: reason.text for reason in caught.value.reasons}


def refused(loop: Loop, models: Models) -> set[str]:
    return set(reasons(loop, models))


def finding(models: Models, mask: NDArray[np.bool_], uncertainty: float = 0.0) -> Models:
    """The models, with a segmenter that always finds this lesion (R, C)."""
    answer = Segmentation(
        probability=mask.astype(np.float32),
        mask=mask,
        lesion_probability=0.97,
        uncertainty=uncertainty,
    )
    stub = SimpleNamespace(use=models.segmenter.use, segment=lambda images, spacing_mm: answer)
    return replace(models, segmenter=stub)  # type: ignore[arg-type]


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
    assert [reason.code for reason in found.diagnosis.reasons] == ["few-frames"]


def blinded(loop: Loop, usable: int) -> Loop:
    """Every tenth frame, eleven of them, and the probe off the skin after so many."""
    few = slice(None, None, 10)
    assert loop.bmode is not None
    contrast, bmode = loop.contrast[few].copy(), loop.bmode[few].copy()
    contrast[usable:], bmode[usable:] = 3, 3
    return replace(loop, contrast=contrast, bmode=bmode, times_s=loop.times_s[few])


def test_too_few_usable_frames_for_a_fit_are_refused(exam: SimulatedExam, models: Models) -> None:
    lesion = finding(models, exam.truth.lesion_mask)
    found = reasons(blinded(exam.loop, usable=7), lesion)
    assert list(found) == ["unusable-motion"]
    assert re.match(r"[1-7] of 11 frames are in plane, .* at least 8", found["unusable-motion"])


def test_as_many_frames_as_a_fit_needs_are_measured(exam: SimulatedExam, models: Models) -> None:
    lesion = finding(models, exam.truth.lesion_mask)
    found = measure(blinded(exam.loop, usable=8), lesion, Recipe())
    assert np.count_nonzero(found.kept) == 8
    assert found.curves[0].arrival_s is not None


def test_a_lesion_wholly_under_graphics_is_none(exam: SimulatedExam, models: Models) -> None:
    lesion = exam.truth.lesion_mask
    covered = replace(exam.loop, graphics=exam.loop.graphics | lesion)
    found = reasons(covered, finding(models, lesion))
    assert list(found) == ["no-lesion"]
    assert "under burned-in graphics" in found["no-lesion"]


def test_a_lesion_of_one_pixel_beside_graphics_is_measured(
    exam: SimulatedExam, models: Models
) -> None:
    lesion = exam.truth.lesion_mask
    graphics = lesion.copy()
    graphics[tuple(np.argwhere(lesion)[len(np.argwhere(lesion)) // 2])] = False
    found = measure(replace(exam.loop, graphics=graphics), finding(models, lesion), Recipe())
    assert np.count_nonzero(found.lesion_mask) == 1


@pytest.mark.parametrize("margin", [0, 6])
def test_without_reference_tissue_the_lesion_is_neither_divided_nor_judged(
    exam: SimulatedExam, models: Models, margin: int
) -> None:
    lesion = np.zeros(exam.loop.shape, np.bool_)
    lesion[margin : lesion.shape[0] - margin, margin : lesion.shape[1] - margin] = True
    found = measure(exam.loop, finding(models, lesion), Recipe())
    assert not found.tissue_mask.any()
    assert set(np.unique(found.subregion_map[found.lesion_mask])) == {UNRELIABLE}
    assert found.stability is None
    assert found.diagnosis.decision == "indeterminate"
    (reason,) = found.diagnosis.reasons
    assert reason.code == "no-reference-tissue"
    assert reason.text in found.warnings
    assert found.curves[0].arrival_s is not None
    assert all(np.isfinite(value) for value in found.features.values())


def test_an_uncertain_outline_is_measured_and_drawn_but_not_judged(
    exam: SimulatedExam, models: Models
) -> None:
    lesion = exam.truth.lesion_mask
    sure, unsure = (
        measure(exam.loop, finding(models, lesion, doubt), Recipe()) for doubt in (0.5, 0.51)
    )
    assert sure.diagnosis.malignant_probability is not None
    assert unsure.diagnosis.malignant_probability is None
    assert unsure.diagnosis.decision == "indeterminate"
    assert not unsure.diagnosis.contributions
    assert unsure.quality.grade == "D"
    (reason,) = unsure.diagnosis.reasons
    assert reason.code == "uncertain-outline"
    assert "0.51 of 1, at most 0.5 expected" in reason.text
    assert (unsure.lesion.probability, unsure.lesion.uncertainty) == (0.97, 0.51)
    np.testing.assert_array_equal(unsure.subregion_map, sure.subregion_map)


def test_an_uncertain_outline_is_a_reason_beside_missing_tissue(
    exam: SimulatedExam, models: Models
) -> None:
    everything = np.ones(exam.loop.shape, np.bool_)
    found = measure(exam.loop, finding(models, everything, 0.9), Recipe())
    codes = [reason.code for reason in found.diagnosis.reasons]
    assert codes == ["uncertain-outline", "no-reference-tissue"]


def test_an_assumed_dynamic_range_is_judged_at_grade_c_at_best(
    exam: SimulatedExam, models: Models
) -> None:
    lesion = finding(models, exam.truth.lesion_mask)
    stated = measure(exam.loop, lesion, Recipe())
    assumed = measure(replace(exam.loop, dynamic_range_source="default"), lesion, Recipe())
    assert stated.quality.grade < assumed.quality.grade == "C"
    assert assumed.diagnosis == stated.diagnosis


def test_without_a_bmode_pane_nothing_is_larger_than_on_bmode(
    exam: SimulatedExam, models: Models
) -> None:
    lesion = finding(models, exam.truth.lesion_mask)
    assert measure(exam.loop, lesion, Recipe()).lesion.enlargement_ratio is not None
    single = measure(replace(exam.loop, bmode=None), lesion, Recipe())
    assert single.lesion.enlargement_ratio is None
    assert single.features["enlargement_ratio"] == 1.0


def test_an_exam_of_the_last_grade_is_measured_but_not_judged(models: Models) -> None:
    """Too few frames a second, no wash-out, and a dynamic range that the speckle contradicts."""
    late = recipe_for(
        "malignant", 3, preset="small", layout="mono-left", frames=130, frames_per_s=0.9,
        arrival_s=122.0, clips=1, dynamic_range_db=45.0, looks=1,
    )  # fmt: skip
    found = measure(replace(simulate(late).loop, dynamic_range_db=90.0), models, Recipe())
    assert found.quality.grade == "D"
    assert found.subregions
    assert found.diagnosis.decision == "indeterminate"
    assert found.diagnosis.malignant_probability is None
    (reason,) = found.diagnosis.reasons
    assert reason.code == "poor-quality"
    assert all(check.name in reason.text for check in found.quality.checks if not check.passed)
