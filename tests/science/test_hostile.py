"""Loops as no scanner should send them: a defined answer, or an error that names the argument."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dicomnode.science.faults import flashes, lifted
from dicomnode.science.loop import Loop, estimate_dynamic_range_db, static_bright, summary_images
from dicomnode.science.motion import register
from dicomnode.science.quality import RULES, assess, early, refusals

few = settings(max_examples=60)

PANES = ("noise", "constant", "zero", "some frames zero", "one bright pixel", "saturated")


@st.composite
def loops(draw):
    frames, rows, columns = (draw(st.integers(1, most)) for most in (14, 40, 40))
    shape = (frames, rows, columns)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps_s = draw(
        arrays.arrays(np.float64, frames, elements=st.sampled_from([1e-3, 0.1, 0.7, 5.0, 900.0]))
    )
    bmode = draw(st.sampled_from((None, *PANES)))
    return Loop(
        contrast=pane(draw(st.sampled_from(PANES)), shape, rng),
        bmode=None if bmode is None else pane(bmode, shape, rng),
        times_s=np.cumsum(steps_s),
        spacing_mm=draw(st.sampled_from([(0.05, 0.05), (0.2, 0.1), (3.0, 3.0)])),
        graphics=rng.random(shape[1:]) < draw(st.sampled_from([0.0, 0.2, 1.0])),
        dynamic_range_db=draw(st.sampled_from([30.0, 60.0, 100.0])),
    )


def pane(kind, shape, rng):
    frames = rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == "some frames zero":
        frames[rng.random(shape[0]) < 0.5] = 0
    elif kind == "one bright pixel":
        frames[:] = 0
        frames[:, shape[1] // 2, shape[2] // 2] = 255
    elif kind != "noise":
        frames[:] = {"constant": 90, "zero": 0, "saturated": 255}[kind]
    return frames


@st.composite
def masked_loops(draw):
    """A loop and a mask: one pixel, the corner, the border, all, or some."""
    loop = draw(loops())
    rows, columns = loop.shape
    mask = np.zeros(loop.shape, bool)
    kind = draw(st.sampled_from(["one pixel", "corner", "border", "all"]))
    if kind == "one pixel":
        mask[draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))] = True
    elif kind == "corner":
        mask[-3:, -3:] = True
    elif kind == "border":
        mask[[0, -1]] = mask[:, [0, -1]] = True
    else:
        mask[:] = True
    return loop, mask


@few
@given(masked_loops())
def test_registration_is_finite_and_keeps_its_reference(drawn):
    loop, mask = drawn
    first = register(loop)
    motion = register(loop, mask, reference=first.reference)
    for found in (first, motion):
        assert np.all(np.isfinite(found.shift_px))
        assert np.all(np.isfinite(found.ncc))
        assert found.kept[found.reference]
        assert found.shift_px[found.reference].tolist() == [0, 0]
    assert motion.reference == first.reference


@few
@given(masked_loops())
def test_every_check_is_finite_or_cannot_be_told(drawn):
    loop, mask = drawn
    motion = register(loop, mask)
    curve = np.where(motion.kept, loop.contrast[:, mask].mean(axis=1) + 1.0, np.nan)
    quality = assess(loop, motion, curve, mask, 0.2)
    assert [check.name for check in quality.checks] == [rule.name for rule in RULES]
    for check in quality.checks:
        assert check.value is None or np.isfinite(check.value)
        assert "nan" not in check.message
    assert all(reason.text for reason in refusals(quality))


GRAPHICS_ON_EVERY_THIRD = Loop(
    contrast=np.array(
        [[[37, 22, 172, 133, 226]], [[235, 197, 227, 204, 219]], [[49, 254, 104, 153, 160]],
         [[142, 190, 233, 141, 77]], [[248, 79, 8, 205, 134]]], np.uint8
    ),
    bmode=None,
    times_s=np.array([0.001, 0.002, 0.003, 0.004, 0.005]),
    spacing_mm=(0.05, 0.05),
    graphics=np.array([[True, False, False, True, False]]),
    dynamic_range_db=30.0,
)  # fmt: skip
"""It flashes, and of the pixels that stand for the pane none is an echo."""


@few
@example(GRAPHICS_ON_EVERY_THIRD)
@given(loops())
def test_early_checks_and_summary_images_are_defined(loop):
    assert {check.name for check in early(loop).checks}
    for found in (flashes(loop), lifted(loop)):
        assert found.shape == loop.times_s.shape
        assert found.dtype == np.bool_
    assert static_bright(loop.contrast).shape == loop.shape
    for image in summary_images(loop, register(loop)).values():
        assert np.all((image >= 0) & (image <= 1))
    estimate_db = estimate_dynamic_range_db(loop.contrast)
    assert estimate_db is None or 0 < estimate_db < np.inf


def sound(frames=6):
    return Loop(
        contrast=np.full((frames, 20, 24), 50, np.uint8),
        bmode=None,
        times_s=np.arange(frames) / 5,
        spacing_mm=(0.1, 0.1),
        graphics=np.zeros((20, 24), bool),
    )


BAD = {
    "NaN time": ({"times_s": np.array([0, 1, np.nan, 3, 4, 5])}, "times_s: expected finite sec"),
    "infinite time": ({"times_s": np.array([0, 1, 2, 3, 4, np.inf])}, "times_s: expected finite s"),
    "time goes back": (
        {"times_s": np.array([0, 1, 2, 1.5, 4, 5])},
        "times_s: expected strictly increasing seconds, got 1.5 after 2",
    ),
    "time stands still": (
        {"times_s": np.array([0, 1, 1, 2, 3, 4.0])},
        "times_s: expected strictly increasing seconds, got 1 after 1",
    ),
    "times of another length": (
        {"times_s": np.arange(5.0)},
        r"times_s: expected 6 seconds, one per frame, got shape \(5,\)",
    ),
    "no frames": (
        {"contrast": np.zeros((0, 20, 24), np.uint8), "times_s": np.zeros(0)},
        r"contrast: expected uint8 grey levels of shape \(T, R, C\), none of them 0",
    ),
    "one picture": (
        {"contrast": np.zeros((20, 24), np.uint8)},
        r"contrast: .* got uint8 of shape \(20, 24\)",
    ),
    "colours": (
        {"contrast": np.zeros((6, 20, 24, 3), np.uint8)},
        r"contrast: .* got uint8 of shape \(6, 20, 24, 3\)",
    ),
    "floating point": ({"contrast": np.zeros((6, 20, 24))}, "contrast: .* got float64"),
    "another B-mode": (
        {"bmode": np.zeros((5, 20, 24), np.uint8)},
        r"bmode: expected uint8 grey levels of shape \(6, 20, 24\) as contrast",
    ),
    "graphics as numbers": (
        {"graphics": np.zeros((20, 24), int)},
        r"graphics: expected bool of shape \(20, 24\), got int64",
    ),
    "no spacing": ({"spacing_mm": (0.1, 0.0)}, "spacing_mm: expected millimetres above 0"),
    "NaN spacing": ({"spacing_mm": (np.nan, 0.1)}, "spacing_mm: expected millimetres above 0"),
    "NaN range": ({"dynamic_range_db": np.nan}, "dynamic_range_db: expected 0 to 200 dB"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_loop_that_cannot_be_is_named(kind):
    changed, said = BAD[kind]
    with pytest.raises(ValueError, match=said):
        replace(sound(), **changed)


@given(times_s=arrays.arrays(np.float64, 6, elements=st.floats(-10, 10) | st.just(np.nan)))
def test_a_clock_is_finite_and_increasing_or_refused(times_s):
    if np.all(np.isfinite(times_s)) and np.all(np.diff(times_s) > 0):
        assert replace(sound(), times_s=times_s).times_s is times_s
    else:
        with pytest.raises(ValueError, match=r"times_s: expected .* seconds"):
            replace(sound(), times_s=times_s)


@pytest.mark.parametrize(
    ("region", "got"), [(np.zeros((20, 24), bool), "0 in"), (np.ones((5, 5), bool), "25 in")]
)
def test_a_region_that_is_empty_or_elsewhere_is_named(region, got):
    with pytest.raises(ValueError, match=f"region: expected pixels in a mask .* got {got}"):
        register(sound(), region)
    with pytest.raises(ValueError, match=f"lesion: expected at least one pixel .* got {got}"):
        assess(sound(), register(sound()), np.ones(6), region, 0.2)
