import numpy as np
import pytest

from dicomnode.simulation.habitats import enlarge, lay_out
from dicomnode.simulation.recipe import LesionPlan


def disc(radius_px: float) -> np.ndarray:
    rows, columns = np.ogrid[-80:81, -80:81]
    return rows**2 + columns**2 < radius_px**2


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.3])
def test_enlargement_adds_the_asked_share_around_the_edge(fraction: float) -> None:
    mask = disc(40)
    grown = enlarge(mask, fraction)
    assert grown.sum() == pytest.approx(mask.sum() * (1 + fraction), rel=0.02)
    assert grown[mask].all()


def test_habitats_take_their_shares() -> None:
    plan = LesionPlan(fractions=(0.1, 0.2, 0.3, 0.4, 0.0))
    region = disc(50)
    numbers = lay_out(np.random.default_rng(1), region, plan, 0.1)
    shares = np.bincount(numbers[region], minlength=6)[1:] / region.sum()
    np.testing.assert_allclose(shares, plan.fractions, atol=0.002)
    assert not numbers[~region].any()


def test_full_rim_weight_puts_the_last_habitat_outermost() -> None:
    plan = LesionPlan(fractions=(0.3, 0, 0, 0, 0.7), rim_weight=1.0)
    numbers = lay_out(np.random.default_rng(1), disc(50), plan, 0.1)
    assert numbers[80, 80] == 1
    assert numbers[80, 80 + 47] == 5
