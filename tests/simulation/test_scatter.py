import numpy as np
import pytest
from numpy.typing import NDArray

from dicomnode.simulation import scatter

SHAPE = (220, 240)
SIGMA_PX = (1.2, 1.8)
MARGIN = 8


def bubbles(seed: int, *, looks: int = 1, persistence: float = 0.0) -> scatter.Scatterers:
    rng = np.random.default_rng(seed)
    return scatter.Scatterers(rng, SHAPE, looks=looks, persistence=persistence)


def speckle(
    amount: float, *, density: float = 1e6, diffuse: float = 0.0, looks: int = 1, seed: int = 1
) -> NDArray[np.float32]:
    dots = bubbles(seed, looks=looks)
    level = np.full(SHAPE, amount, np.float32)
    weights = scatter.grain_weights(level, np.float32(density), np.float32(diffuse))
    nothing = np.zeros_like(dots.field)
    silent = np.zeros(SHAPE, np.float32)
    field = scatter.contrast_field(weights, dots.field, nothing, dots.innovation, silent)
    return scatter.echo_power(field, SIGMA_PX, (0.0, 0.0), MARGIN)


def test_fully_developed_speckle_of_one_look_is_exponential() -> None:
    power = speckle(2.0)
    assert power.mean() == pytest.approx(2.0, rel=0.1)
    assert power.std() / power.mean() == pytest.approx(1.0, abs=0.1)
    decibels = 10 * np.log10(power)
    assert decibels.std() == pytest.approx(5.57, abs=0.4)


def test_looks_average_speckle_down() -> None:
    power = speckle(2.0, looks=4)
    assert power.std() / power.mean() == pytest.approx(0.5, abs=0.06)


def test_speckle_has_the_size_of_the_point_spread() -> None:
    power = speckle(1.0)
    power = power - power.mean()
    for axis, sigma_px in enumerate(SIGMA_PX):
        moved = np.roll(power, 2, axis=axis)
        correlation = (power * moved).mean() / power.var()
        assert correlation == pytest.approx(np.exp(-(2**2) / (2 * sigma_px**2)), abs=0.08)


def test_an_edge_in_the_agent_is_blurred_by_the_point_spread() -> None:
    dots = bubbles(3, looks=60)
    level = np.zeros(SHAPE, np.float32)
    level[:, 120:] = 1.0
    weights = scatter.grain_weights(level, np.float32(1e6), np.float32(0.0))
    silent = np.zeros(SHAPE, np.float32)
    still = np.zeros_like(dots.field)
    field = scatter.contrast_field(weights, dots.field, still, dots.innovation, silent)
    profile = scatter.echo_power(field, SIGMA_PX, (0.0, 0.0), MARGIN).mean(axis=0)
    edge = 120 - MARGIN
    assert 0.02 < profile[edge - 2] < 0.3
    assert profile[edge - 8] < 1e-3
    assert profile[edge + 8 :].mean() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("density", [0.01, 0.05, 0.3, 2.0])
@pytest.mark.parametrize("diffuse", [0.0, 0.3])
def test_mean_power_is_the_agent_however_sparse_the_grains(density: float, diffuse: float) -> None:
    powers = [speckle(1.0, density=density, diffuse=diffuse, looks=4, seed=s) for s in range(4)]
    assert np.mean(powers) == pytest.approx(1.0, rel=0.1)


def test_few_bubbles_make_bright_grains_on_black() -> None:
    sparse, dense = speckle(1.0, density=0.01), speckle(1.0)
    assert sparse.std() / sparse.mean() > 1.6
    assert np.median(sparse) < 0.3 * np.median(dense)


def test_persistence_is_the_correlation_of_the_field_between_frames() -> None:
    dots = bubbles(5, persistence=0.6)
    before = dots.field.copy()
    dots.advance()
    assert np.corrcoef(before.ravel(), dots.field.ravel())[0, 1] == pytest.approx(0.6, abs=0.02)
    assert dots.field.std() == pytest.approx(1.0, abs=0.02)


def test_whole_pixel_motion_moves_the_picture_and_changes_nothing_else() -> None:
    field = bubbles(7).field
    here = scatter.echo_power(field, SIGMA_PX, (0.0, 0.0), 12)
    moved = scatter.echo_power(field, SIGMA_PX, (3.0, -2.0), 12)
    np.testing.assert_array_equal(moved[3:, :-2], here[:-3, 2:])


def test_subpixel_motion_is_continuous_across_a_half_pixel() -> None:
    field = bubbles(8).field
    below = scatter.echo_power(field, SIGMA_PX, (0.499, 0.0), 12)
    above = scatter.echo_power(field, SIGMA_PX, (0.501, 0.0), 12)
    assert np.abs(above - below).max() < 0.02 * below.max()


def test_compression_is_the_inverse_of_linearise() -> None:
    power = np.geomspace(1e-4, 10, 400, dtype=np.float32).reshape(20, 20)
    grey = scatter.compress(power, np.ones_like(power), 10.0, 60.0)
    back_db = grey / 255 * 60 - 60 + 10
    inside = (grey > 0) & (grey < 255)
    np.testing.assert_allclose(back_db[inside], 10 * np.log10(power[inside]), atol=0.13)
    assert grey.flat[-1] == 255
