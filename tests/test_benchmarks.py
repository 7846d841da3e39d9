"""The yardsticks of ``make bench`` are themselves held against independent numbers."""

import numpy as np
import pytest

from dicomnode.science.kinetics import FAMILIES
from dicomnode.science.loop import linearise
from tests.benchmarks.__main__ import TABLES, main
from tests.benchmarks.cubes import (
    BASE,
    RANGE_DB,
    WHITE,
    Cube,
    cramer_rao,
    cube,
    first_pass,
    to_grey,
)


def mean_of(known: Cube, theta: np.ndarray) -> np.ndarray:
    """Mean power (T,) of one pixel with (5,) ln PE, ln tp, ln s, t0 and ln B, by the textbook."""
    peak, tp, s = np.exp(theta[:3])
    area = peak * tp * FAMILIES[known.family].area(s)
    curve = [first_pass(known.family, t, area, tp, s, theta[3]) for t in known.times_s]
    return np.array(curve) + np.exp(theta[4])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bound_is_that_of_the_textbooks_curve(family: str) -> None:
    known = cube(family, frames=150, pixels=3)
    bound = cramer_rao(known)
    for n in range(3):
        theta = np.array(
            [np.log(known.truth["PE"][n]), np.log(known.truth["tp"][n]),
             np.log(known.curvature[n]), known.truth["t0"][n], np.log(BASE)]
        )  # fmt: skip
        mean = mean_of(known, theta)
        slopes = [
            (mean_of(known, theta + h) - mean_of(known, theta - h)) / 2e-5 for h in 1e-5 * np.eye(5)
        ]
        relative = np.array(slopes) / mean
        covariance = np.linalg.inv(relative @ relative.T)
        assert bound["PE"][n] == pytest.approx(np.sqrt(covariance[0, 0]), rel=0.02)
        peak = np.array([0, known.truth["tp"][n], 0, 1, 0])
        assert bound["TTP"][n] == pytest.approx(np.sqrt(peak @ covariance @ peak), rel=0.02)


def test_the_cube_is_single_look_speckle_of_its_mean() -> None:
    known = cube(pixels=2000, frames=40)
    relative = known.speckle() / known.mean
    assert relative.mean() == pytest.approx(1, abs=0.01)
    assert relative.std() == pytest.approx(1, abs=0.02)
    back = linearise(to_grey(known.mean), RANGE_DB) * WHITE / 10 ** (RANGE_DB / 10)
    np.testing.assert_allclose(back, known.mean, rtol=0.04)


def test_a_table_that_there_is_not_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sped"]) == 2
    told = capsys.readouterr().out
    assert all(name in told for name in TABLES)
