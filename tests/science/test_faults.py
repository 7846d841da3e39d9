"""Each fault is injected into a simulated exam that is otherwise clean: found there, only there."""

from dataclasses import replace

import numpy as np
import pytest

from dicomnode.science.faults import flashes, lifted
from dicomnode.science.loop import Loop, linearise
from dicomnode.science.motion import register
from dicomnode.science.quality import assess, early, refusals
from dicomnode.simulation import recipe_for, simulate

LIFTED = np.arange(70, 82)
PANES = {"dual": "mono-left", "single": "single"}


def simulated(layout, **overrides):
    recipe = recipe_for(
        "benign",
        9_100_001,
        preset="small",
        layout=layout,
        **{"frames": 90, "full_scale": 40.0, "arrival_s": 9.0} | overrides,
    )
    exam = simulate(recipe)
    return exam.loop, exam.truth.lesion_mask


@pytest.fixture(scope="module")
def clean():
    return {kind: simulated(layout) for kind, layout in PANES.items()}


def assessed(loop, lesion):
    motion = register(loop)
    power = [linearise(frame[lesion], loop.dynamic_range_db).mean() for frame in loop.contrast]
    return assess(loop, motion, np.where(motion.kept, power, np.nan), lesion, 0.2), motion


def failed(quality):
    return [check.name for check in quality.checks if not check.passed]


def codes(quality):
    return {reason.code for reason in refusals(quality)}


def part(loop, which):
    return replace(
        loop,
        contrast=loop.contrast[which],
        bmode=None if loop.bmode is None else loop.bmode[which],
        times_s=loop.times_s[which] - loop.times_s[which][0],
    )


def in_air(loop, which, kind):
    """Take the probe off: reverberation at the face, below it noise or its haze."""
    rng = np.random.default_rng(4)

    def picture(pane):
        pane = pane.copy()
        size = pane[which].shape
        pane[which] = rng.integers(0, 12, size) if kind == "dark" else rng.integers(80, 110, size)
        pane[which, :12] = 180
        return pane

    bmode = None if loop.bmode is None else picture(loop.bmode)
    contrast = loop.contrast.copy()
    contrast[which] = rng.integers(0, 12, contrast[which].shape)
    return replace(loop, contrast=contrast, bmode=bmode)


def louder(loop, since, decibels):
    contrast = loop.contrast.astype(float)
    contrast[since:] += decibels * 255 / loop.dynamic_range_db
    return replace(loop, contrast=np.clip(contrast, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("kind", PANES)
def test_a_clean_exam_passes_every_check(clean, kind):
    quality, motion = assessed(*clean[kind])
    assert failed(quality) == []
    assert quality.grade == "A"
    assert motion.kept.mean() > 0.9


@pytest.mark.parametrize(
    ("kind", "picture"), [("dual", "dark"), ("dual", "haze"), ("single", "dark")]
)
def test_frames_with_the_probe_lifted_are_found_and_left_out(clean, kind, picture):
    loop, lesion = clean[kind]
    loop = in_air(loop, LIFTED, picture)
    quality, motion = assessed(loop, lesion)
    assert np.flatnonzero(lifted(loop)).tolist() == LIFTED.tolist()
    assert not motion.kept[LIFTED].any()
    assert failed(quality) == ["probe lifted"]
    assert (
        "13% of the frames show no tissue"
        in {c.name: c.message for c in quality.checks}["probe lifted"]
    )


@pytest.mark.parametrize("kind", PANES)
def test_a_probe_lifted_until_the_end_is_found(clean, kind):
    loop = in_air(clean[kind][0], np.arange(75, 90), "dark")
    assert np.flatnonzero(lifted(loop)).tolist() == list(range(75, 90))


def test_a_probe_that_is_not_on_yet_is_found_where_there_is_a_bmode_pane(clean):
    loop = in_air(clean["dual"][0], np.arange(6), "dark")
    assert np.flatnonzero(lifted(loop)).tolist() == list(range(6))


@pytest.mark.parametrize("kind", PANES)
def test_nothing_is_lifted_in_an_even_loop(clean, kind):
    loop = clean[kind][0]
    bmode = None if loop.bmode is None else np.full_like(loop.bmode, 7)
    assert not lifted(replace(loop, contrast=np.full_like(loop.contrast, 7), bmode=bmode)).any()


@pytest.mark.parametrize("kind", PANES)
def test_flashes_are_found_and_left_out(clean, kind):
    loop, lesion = clean[kind]
    contrast = loop.contrast.copy()
    contrast[[40, 41, 65]] = np.maximum(contrast[[40, 41, 65]], 230)
    loop = replace(loop, contrast=contrast)
    quality, motion = assessed(loop, lesion)
    assert np.flatnonzero(flashes(loop)).tolist() == [40, 41, 65]
    assert not motion.kept[[40, 41, 65]].any()
    assert failed(quality) == ["flash"]


def test_bubbles_that_a_flash_destroyed_are_told(clean):
    loop, _ = clean["dual"]
    contrast = louder(loop, 51, -6.0).contrast.copy()
    contrast[50] = 250
    assert {"flash", "bubble loss"} <= set(failed(early(replace(loop, contrast=contrast))))


@pytest.mark.parametrize("kind", PANES)
@pytest.mark.parametrize("since", [4, 60])
@pytest.mark.parametrize("decibels", [-4.0, 4.0])
def test_a_step_of_gain_is_found_at_a_slow_frame_rate(clean, kind, since, decibels):
    loop, _ = clean[kind]
    assert np.median(np.diff(loop.times_s)) > 0.6
    quality = early(louder(loop, since, decibels))
    assert failed(quality) == ["gain change"]
    assert quality.grade == "B"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_bolus_is_no_step_of_gain_however_slow_the_frames(clean, step):
    loop, _ = clean["dual"]
    checks = {c.name: c for c in early(part(loop, slice(None, None, step))).checks}
    assert checks["gain change"].passed
    assert checks["gain change"].value is not None


def test_gain_cannot_be_told_from_frames_five_seconds_apart(clean):
    quality = early(part(clean["dual"][0], slice(None, None, 8)))
    (check,) = (check for check in quality.checks if check.name == "gain change")
    assert check.value is None
    assert check.message == "cannot be told from this loop"


def test_an_exam_without_injection_is_refused():
    loop, _ = simulated("mono-left", contrast_agent=False)
    assert codes(early(loop)) == {"no-bolus"}


@pytest.mark.parametrize(
    ("which", "check"), [(slice(19, None), "baseline"), (slice(40), "wash-out recorded")]
)
def test_a_loop_that_lacks_arrival_or_wash_out_says_so(clean, which, check):
    loop, lesion = clean["dual"]
    assert check in failed(assessed(part(loop, which), lesion)[0])


def test_saturation_is_told_and_then_refuses():
    for full_scale, refused in ((2.0, False), (0.5, True)):
        quality, _ = assessed(*simulated("mono-left", full_scale=full_scale))
        assert "saturation" in failed(quality)
        assert ("unusable-saturation" in codes(quality)) is refused


def test_motion_beyond_repair_is_refused(clean):
    loop, lesion = clean["dual"]
    noise = np.random.default_rng(0).integers(0, 256, loop.bmode.shape, dtype=np.uint8)
    assert codes(assessed(replace(loop, bmode=noise), lesion)[0]) == {"unusable-motion"}


def fresh_speckle(stated_db):
    """A bolus in single-look speckle, fresh in every frame, log-compressed over 50 dB."""
    times_s = np.arange(80.0) * 0.7
    since = np.clip(times_s - 8, 0, None) / 9
    power = 10 + 3e3 * since * np.exp(1 - since)
    speckle = np.random.default_rng(0).exponential(size=(80, 96, 96)) * power[:, None, None]
    return Loop(
        contrast=np.clip(255 * 10 * np.log10(speckle + 1e-9) / 50.0, 0, 255).astype(np.uint8),
        bmode=None,
        times_s=times_s,
        spacing_mm=(0.2, 0.2),
        graphics=np.zeros((96, 96), bool),
        dynamic_range_db=stated_db,
    )


@pytest.mark.parametrize(
    ("stated_db", "passes"), [(50.0, True), (40.0, True), (60.0, True), (75.0, False)]
)
def test_only_a_stated_range_that_is_too_large_contradicts_the_speckle(stated_db, passes):
    lesion = np.zeros((96, 96), bool)
    lesion[30:60, 30:60] = True
    quality, _ = assessed(fresh_speckle(stated_db), lesion)
    (check,) = (check for check in quality.checks if check.name == "dynamic range")
    assert check.passed is passes
    assert not check.refuses
    assert f"{stated_db:.0f} dB taken (assumed)" in check.message
    assert "shows a range of 5" in check.message
