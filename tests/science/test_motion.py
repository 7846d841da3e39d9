import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from dicomnode.science.loop import Loop
from dicomnode.science.motion import register
from dicomnode.science.motion.plane import in_plane
from dicomnode.science.sampling import Motion, align
from dicomnode.simulation import recipe_for, simulate

ROWS, COLUMNS, MARGIN = 160, 192, 24


def texture(seed, rows=ROWS + 2 * MARGIN, columns=COLUMNS + 2 * MARGIN):
    """Log-compressed speckle on large structures, as grey level."""
    rng = np.random.default_rng(seed)
    real, imaginary = ndimage.gaussian_filter(rng.normal(size=(2, rows, columns)), (0, 1.5, 2))
    structure = ndimage.gaussian_filter(rng.normal(size=(rows, columns)), 9)
    grey = 10 * np.log10(real**2 + imaginary**2) + 12 * structure / structure.std()
    return np.clip(128 + 4 * (grey - grey.mean()), 0, 255)


def moved(tissue, shift_px):
    """The oracle: a pane of tissue shifted by scipy, positive = towards later rows, columns."""
    pane = ndimage.shift(tissue, shift_px, order=3, mode="nearest")
    return pane[MARGIN:-MARGIN, MARGIN:-MARGIN]


def breathing(frames):
    phase = np.linspace(0, 5 * np.pi, frames)
    return np.stack([9 * np.sin(phase), 4 * np.sin(phase + 0.8) + 0.1 * np.arange(frames)], axis=1)


def bolus(frames):
    """Grey level of an even contrast pane with its peak at two fifths of the loop."""
    curve = 100 * np.exp(-(((np.arange(frames) - 0.4 * frames) / (0.35 * frames)) ** 2))
    return np.broadcast_to(curve[:, None, None], (frames, ROWS, COLUMNS)).astype(np.uint8)


def loop_of(bmode, contrast=None):
    frames = len(bmode) if bmode is not None else len(contrast)
    return Loop(
        contrast=bolus(frames) if contrast is None else contrast,
        bmode=bmode,
        times_s=np.arange(frames) / 8,
        spacing_mm=(0.2, 0.2),
        graphics=np.zeros((ROWS, COLUMNS), bool),
    )


@pytest.fixture(scope="module")
def breathing_loop():
    tissue, shift = texture(1), breathing(40)
    return loop_of(np.stack([moved(tissue, s) for s in shift]).astype(np.uint8)), shift


def test_register_recovers_the_shift_and_its_sign(breathing_loop):
    loop, shift = breathing_loop
    motion = register(loop)
    truth = shift - shift[motion.reference]
    assert motion.source == "bmode"
    assert motion.kept.all()
    assert np.abs(motion.shift_px - truth).max() < 0.15


def test_the_reference_frame_is_near_the_peak_and_does_not_move(breathing_loop):
    loop, _ = breathing_loop
    motion = register(loop)
    assert abs(motion.reference - 16) <= 4
    assert motion.shift_px[motion.reference].tolist() == [0, 0]


def test_gain_and_offset_of_single_frames_do_not_matter(breathing_loop):
    loop, _ = breathing_loop
    gain = np.random.default_rng(0).uniform(0.6, 1.0, len(loop.times_s))[:, None, None]
    dimmed = (loop.bmode * gain).astype(np.uint8)
    ours, theirs = register(loop), register(loop_of(dimmed))
    difference = (ours.shift_px - theirs.shift_px) - (ours.shift_px - theirs.shift_px)[0]
    assert np.abs(difference).max() < 0.1


def test_align_undoes_the_motion(breathing_loop):
    loop, _ = breathing_loop
    motion = register(loop)
    inner = (slice(24, -24), slice(24, -24))
    reference = loop.bmode[motion.reference][inner].astype(float)
    worst = int(np.argmax(np.abs(motion.shift_px).max(axis=1)))
    aligned = align(loop.bmode[worst], motion.shift_px[worst])[inner]
    assert np.corrcoef(aligned.ravel(), reference.ravel())[0, 1] > 0.98


def test_frames_out_of_plane_are_left_out(breathing_loop):
    loop, shift = breathing_loop
    bmode, other = loop.bmode.copy(), texture(99)
    away = [25, 26, 27]
    for t in away:
        bmode[t] = moved(other, shift[t])
    motion = register(loop_of(bmode))
    assert np.flatnonzero(~motion.kept).tolist() == away
    assert np.all(np.isfinite(motion.shift_px))


def test_graphics_that_stay_with_the_pane_do_not_hold_the_tissue():
    tissue, shift = texture(5), breathing(24)
    bmode = np.stack([moved(tissue, s) for s in shift]).astype(np.uint8)
    graphics = np.zeros((ROWS, COLUMNS), bool)
    graphics[60:75, 50:150] = True
    bmode[:, graphics] = np.indices((ROWS, COLUMNS)).sum(axis=0)[graphics] % 2 * 255
    loop = Loop(
        contrast=bolus(24),
        bmode=bmode,
        times_s=np.arange(24) / 8,
        spacing_mm=(0.2, 0.2),
        graphics=graphics,
    )
    motion = register(loop)
    assert np.abs(motion.shift_px - (shift - shift[motion.reference])).max() < 0.3


def test_a_single_pane_is_registered_on_its_contrast():
    tissue, shift = texture(3), breathing(40)
    strength = bolus(40)[:, :1, :1] / 100
    contrast = np.stack([moved(tissue, s) for s in shift]) * strength
    motion = register(loop_of(None, contrast.astype(np.uint8)))
    assert motion.source == "contrast"
    assert np.abs(motion.shift_px - (shift - shift[motion.reference])).max() < 0.3


def test_the_region_decides_where_tissue_moves_differently():
    tissue, shift = texture(7), breathing(24)
    bmode = np.stack([moved(tissue, s) for s in shift]).astype(np.uint8)
    bmode[:, :50] = moved(tissue, (0, 0))[:50].astype(np.uint8)
    region = np.zeros((ROWS, COLUMNS), bool)
    region[100:130, 80:120] = True
    motion = register(loop_of(bmode), region)
    assert np.abs(motion.shift_px - (shift - shift[motion.reference])).max() < 0.3


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_constant_or_tiny_loop_does_not_move(frames):
    motion = register(loop_of(np.full((frames, ROWS, COLUMNS), 80, np.uint8)))
    assert not motion.shift_px.any()
    assert motion.kept.any()


def test_noise_does_not_break_registration():
    noise = np.random.default_rng(0).integers(0, 256, (12, ROWS, COLUMNS), dtype=np.uint8)
    assert np.all(np.isfinite(register(loop_of(noise)).shift_px))


@pytest.mark.parametrize("region", [np.zeros((ROWS, COLUMNS), bool), np.ones((3, 4), bool)])
def test_register_names_a_wrong_region(breathing_loop, region):
    with pytest.raises(
        ValueError, match=r"region: expected pixels in a mask of shape \(160, 192\)"
    ):
        register(breathing_loop[0], region)


@given(row=st.floats(-6, 6), column=st.floats(-6, 6), seed=st.integers(0, 2**16))
def test_align_samples_as_scipy_does(row, column, seed):
    frame = np.random.default_rng(seed).integers(0, 256, (11, 13), dtype=np.uint8)
    at = np.indices(frame.shape) + np.array([row, column])[:, None, None]
    oracle = ndimage.map_coordinates(frame.astype(float), at, order=1, mode="nearest")
    assert np.abs(align(frame, np.array([row, column])) - oracle).max() < 1e-2


def test_motion_refuses_a_reference_that_was_left_out():
    with pytest.raises(ValueError, match="reference: expected a kept frame, got frame 0"):
        Motion(
            shift_px=np.zeros((2, 2)),
            ncc=np.ones(2),
            kept=np.array([False, True]),
            reference=0,
            source="bmode",
        )


def test_a_pattern_that_changes_with_the_bolus_is_followed():
    shift = breathing(80)
    early, late = texture(11), texture(12)
    share = np.clip((np.arange(80) - 20) / 40, 0, 1)
    contrast = [
        moved((1 - part) * early + part * late, s) * 0.8
        for part, s in zip(share, shift, strict=True)
    ]
    motion = register(loop_of(None, np.stack(contrast).astype(np.uint8)))
    assert np.abs(motion.shift_px - (shift - shift[motion.reference])).max() < 1.0


def test_a_given_reference_frame_stays_the_reference(breathing_loop):
    loop, shift = breathing_loop
    region = np.zeros((ROWS, COLUMNS), bool)
    region[70:100, 80:120] = True
    motion = register(loop, region, reference=3)
    assert motion.reference == 3
    assert np.abs(motion.shift_px - (shift - shift[3])).max() < 0.15


def test_a_reference_frame_that_is_not_there_is_named(breathing_loop):
    with pytest.raises(ValueError, match="reference: expected a frame from 0 to 39, got 40"):
        register(breathing_loop[0], reference=40)


def test_a_single_pane_is_followed_before_the_contrast_arrives():
    """Of a pane whose gain shows the tissue's residual echoes: in a dark one there is nothing."""
    recipe = recipe_for(
        "benign", 9_100_001, preset="small", layout="single", breathing_mm=3.0, frames=70,
        full_scale=75.0,
    )  # fmt: skip
    exam = simulate(recipe)
    truth = exam.truth
    motion = register(exam.loop, truth.lesion_mask)
    off = motion.shift_px - (truth.shift_px - truth.shift_px[motion.reference])
    early = exam.loop.times_s < truth.arrival_s
    assert np.median(np.hypot(*off[early].T)) < 1.5
    assert np.median(np.hypot(*off[~early].T)) < 0.4


def test_speckle_of_another_plane_is_told_where_the_tissue_looks_alike():
    tissue, shift = texture(21), breathing(40)
    other = 0.55 * texture(22) + 0.45 * ndimage.gaussian_filter(tissue, 9)
    bmode = np.stack([moved(tissue, s) for s in shift])
    away = np.arange(20, 27)
    smooth = ndimage.gaussian_filter(bmode[away], (0, 9, 9))
    fine = np.stack([moved(other, shift[t]) for t in away])
    bmode[away] = smooth + fine - ndimage.gaussian_filter(fine, (0, 9, 9))
    motion = register(loop_of(np.clip(bmode, 0, 255).astype(np.uint8)))
    assert np.flatnonzero(~motion.kept).tolist() == away.tolist()


@pytest.mark.parametrize(
    ("likeness", "left_out"),
    [
        (np.r_[np.full(90, 0.8), np.full(10, 0.2)], 10),
        (np.r_[np.full(40, 0.8), np.linspace(0.3, 0.1, 60)], 30),
        (np.r_[np.full(90, 0.2), np.zeros(10)], 0),
        (np.zeros(20), 0),
    ],
    ids=["some in another plane", "most in others", "no grain", "nothing"],
)
def test_planes_are_told_by_their_grain(likeness, left_out):
    assert np.sum(~in_plane(likeness)) == left_out
