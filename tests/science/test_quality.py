from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from dicomnode.science.faults import flashes
from dicomnode.science.loop import Loop, linearise
from dicomnode.science.quality import (
    RULES,
    assess,
    early,
    refusals,
    withheld,
    withholding,
)
from dicomnode.science.sampling import Motion

SHAPE = (96, 128)
LESION = np.zeros(SHAPE, bool)
LESION[40:70, 40:80] = True


def speckled(power, seed=0, dynamic_range_db=60.0):
    """A contrast loop of single-look speckle on the given power, log-compressed."""
    speckle = np.random.default_rng(seed).exponential(size=power.shape)
    grey = 255 * 10 * np.log10(power * speckle + 1e-9) / dynamic_range_db
    return np.clip(grey, 0, 255).astype(np.uint8)


def bolus_power(times_s, arrival_s=8.0):
    since = np.clip(times_s - arrival_s, 0, None)
    rise = 300 * (since / 8) * np.exp(1 - since / 8)
    power = np.full((len(times_s), *SHAPE), 10.0)
    power += rise[:, None, None] * np.where(LESION, 3.0, 1.0)
    return power


def loop_of(contrast, interval_s=0.5, **kwargs):
    return Loop(
        contrast=contrast,
        bmode=None,
        times_s=np.arange(len(contrast)) * interval_s,
        spacing_mm=(0.2, 0.2),
        graphics=np.zeros(contrast.shape[1:], bool),
        **{"dynamic_range_source": "tag", **kwargs},
    )


@pytest.fixture(scope="module")
def good():
    return loop_of(speckled(bolus_power(np.arange(140) * 0.5)))


def still(loop, kept=None, shift_px=None, ncc=0.9):
    frames = len(loop.times_s)
    kept = np.ones(frames, bool) if kept is None else kept
    return Motion(
        shift_px=np.zeros((frames, 2)) if shift_px is None else shift_px,
        ncc=np.full(frames, ncc),
        kept=kept,
        reference=int(np.flatnonzero(kept)[0]),
        source="contrast",
    )


def assessed(loop, motion=None, uncertainty=0.2):
    motion = still(loop) if motion is None else motion
    power = [linearise(frame[LESION], loop.dynamic_range_db).mean() for frame in loop.contrast]
    return assess(loop, motion, np.where(motion.kept, power, np.nan), LESION, uncertainty)


def failed(quality):
    return [check.name for check in quality.checks if not check.passed]


def codes(quality):
    return {reason.code for reason in refusals(quality)}


def test_a_good_exam_passes_every_check(good):
    quality = assessed(good)
    assert failed(quality) == []
    assert quality.grade == "A"
    assert refusals(quality) == ()


def test_every_rule_gives_one_check_in_the_order_of_the_table(good):
    assert [check.name for check in assessed(good).checks] == [rule.name for rule in RULES]
    names = [check.name for check in early(good).checks]
    assert names == [rule.name for rule in RULES if rule.early]


def test_words_carry_value_and_limit(good):
    for check in assessed(good).checks:
        assert check.value is None or any(digit.isdigit() for digit in check.message)
        assert "{" not in check.message


NO_BOLUS = {
    "speckle": speckled(np.full((60, *SHAPE), 100.0)),
    "white noise": np.random.default_rng(0).integers(0, 256, (60, *SHAPE), dtype=np.uint8),
    "constant": np.full((60, *SHAPE), 90, np.uint8),
    "black": np.zeros((60, *SHAPE), np.uint8),
    "wash-out only": speckled(bolus_power(20 + np.arange(60) * 0.5)),
}


@pytest.mark.parametrize("kind", NO_BOLUS)
def test_a_loop_without_bolus_is_refused(kind):
    assert codes(early(loop_of(NO_BOLUS[kind]))) == {"no-bolus"}


def test_bmode_of_moving_tissue_is_refused_as_no_bolus():
    tissue = speckled(np.random.default_rng(3).uniform(1, 1000, (1, 160, 160)))[0]
    steps = np.rint(12 * np.sin(np.arange(60) / 4)).astype(int)
    moving = np.stack([tissue[20 + s : 116 + s, 10:138] for s in steps])
    assert codes(early(loop_of(moving))) == {"no-bolus"}


def test_a_step_of_gain_is_not_a_bolus():
    power = np.full((80, *SHAPE), 100.0)
    power[40:] *= 10
    quality = early(loop_of(speckled(power), interval_s=0.2))
    assert codes(quality) == {"no-bolus"}
    assert "gain change" in failed(quality)


def test_a_step_of_gain_during_a_bolus_lowers_the_grade():
    power = bolus_power(np.arange(300) * 0.2)
    power[170:] *= 10**0.4
    quality = early(loop_of(speckled(power), interval_s=0.2))
    assert failed(quality) == ["gain change"]
    assert quality.grade == "B"


def test_gain_of_the_whole_exam_does_not_matter(good):
    louder = replace(good, contrast=speckled(3 * bolus_power(good.times_s)))
    assert failed(assessed(louder)) == []


def test_flashes_are_found_where_they_are(good):
    contrast = good.contrast.copy()
    contrast[[50, 90]] = 250
    loop = replace(good, contrast=contrast)
    assert np.flatnonzero(flashes(loop)).tolist() == [50, 90]
    assert failed(early(loop)) == ["flash"]


def test_a_loop_that_starts_during_wash_in_says_so(good):
    late = loop_of(good.contrast[17:])
    assert failed(assessed(late)) == ["baseline"]


def test_a_loop_that_ends_at_the_peak_says_so(good):
    assert "wash-out recorded" in failed(assessed(loop_of(good.contrast[:40])))


def test_few_and_slow_frames():
    times_s = np.arange(9) * 3.0
    quality = early(loop_of(speckled(bolus_power(times_s)), interval_s=3.0))
    assert codes(quality) == {"too-few-frames"}
    assert "frame rate" in failed(quality)


def test_a_single_frame_is_refused_and_not_an_error():
    assert codes(early(loop_of(np.full((1, *SHAPE), 9, np.uint8)))) == {
        "no-bolus",
        "too-few-frames",
    }


@pytest.mark.parametrize(("factor", "refused"), [(600, False), (3000, True)])
def test_saturation_lowers_the_grade_and_then_refuses(good, factor, refused):
    power = bolus_power(good.times_s)
    power[:, LESION] *= factor
    quality = assessed(replace(good, contrast=speckled(power)))
    assert "saturation" in failed(quality)
    assert ("unusable-saturation" in codes(quality)) is refused


def test_motion_lowers_the_grade_and_then_refuses(good):
    some, most = (np.arange(140) % 10 < share for share in (7, 3))
    assert failed(assessed(good, still(good, kept=some))) == ["frames left out"]
    assert codes(assessed(good, still(good, kept=most))) == {"unusable-motion"}
    far = np.linspace(0, 1, 140)[:, None] * np.array([[40.0, 0.0]])
    assert failed(assessed(good, still(good, shift_px=far))) == ["excursion"]
    assert failed(assessed(good, still(good, ncc=0.1))) == ["frame similarity"]


def words_of(quality, name):
    (check,) = [check for check in quality.checks if check.name == name]
    return check.message


@pytest.mark.parametrize(("uncertainty", "sure"), [(0.5, True), (0.501, False), (1.0, False)])
def test_an_uncertain_outline_leaves_the_last_grade_and_withholds(good, uncertainty, sure):
    quality = assessed(good, uncertainty=uncertainty)
    assert ("size" not in withheld(quality)) is sure
    assert quality.grade == ("A" if sure else "D")
    assert refusals(quality) == ()
    reasons = withholding(quality)
    assert [reason.code for reason in reasons] == ([] if sure else ["uncertain-outline"])
    for reason in reasons:
        said = f"the outline is uncertain: doubt {uncertainty:.2f} of 1, at most 0.5 expected"
        assert reason.text.startswith(said)
        assert reason.text == words_of(quality, "outline")


def test_an_assumed_dynamic_range_is_never_better_than_grade_c(good):
    assumed = replace(good, dynamic_range_source="default")
    quality = assessed(assumed)
    assert failed(quality) == ["dynamic range known"]
    assert quality.grade == "C"
    assert withholding(quality) == ()
    said = words_of(quality, "dynamic range known")
    assert said.startswith("the scanner's dynamic range is not known and 60 dB are assumed")
    some = assessed(assumed, still(good, kept=np.arange(140) % 10 < 7))
    assert (some.grade, len(failed(some))) == ("C", 2)


@pytest.mark.parametrize("source", ["tag", "vendor", "settings"])
def test_a_stated_dynamic_range_costs_nothing(good, source):
    stated = assessed(replace(good, dynamic_range_source=source))
    assert (failed(stated), stated.grade) == ([], "A")
    assert "60 dB as the " in words_of(stated, "dynamic range known")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_failing_check_leaves_a_better_grade_than_the_table_allows(rule):
    assert rule.at_best in "BCD"
    assert not rule.refuses or rule.at_best == "B", "an exam that is refused has no grade to cap"


def test_a_curve_of_another_length_is_named(good):
    with pytest.raises(ValueError, match=r"lesion_curve: expected shape \(140,\), one echo power"):
        assess(good, still(good), np.ones(7), LESION, 0.2)
    with pytest.raises(ValueError, match="lesion_curve: expected finite echo power in some frame"):
        assess(good, still(good), np.full(140, np.nan), LESION, 0.2)
    with pytest.raises(ValueError, match=r"lesion: expected at least one pixel"):
        assess(good, still(good), np.ones(140), np.zeros(SHAPE, bool), 0.2)


@pytest.mark.shared_data
def test_the_real_clip_is_not_refused_and_its_bmode_is(shared_data):
    paths = sorted((shared_data / "ceus_breast_ceusformer" / "benign_case14").glob("*.jpg"))
    # The frame time is assumed: the source states none.
    images = np.stack([imread(path) for path in paths]).astype(float)
    luma = images @ [0.299, 0.587, 0.114]
    contrast = np.clip(luma[:, :, 550:] * 255 / 185, 0, 255).astype(np.uint8)
    quality = early(loop_of(contrast, interval_s=2.5))
    assert refusals(quality) == ()
    assert quality.grade != "A"
    assert "frame rate" in failed(quality)
    bmode = luma[:, :, :550].astype(np.uint8)
    assert codes(early(loop_of(bmode, interval_s=2.5))) == {"no-bolus"}
