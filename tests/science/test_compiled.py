"""Compiled code is as new as what it was compiled from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dicomnode.science

CALL = """
import numpy as np
from mirror.caller import double_exp
print(float(double_exp(np.float32(0.0))))
"""
CALLER = """
import numpy as np
from mirror.compiled import vectorised
from mirror.elementary import exp32


@vectorised
def double_exp(x):
    return np.float32(2) * exp32(x)
"""


def test_a_change_of_what_is_inlined_renews_the_cache_of_its_callers(tmp_path: Path) -> None:
    package = tmp_path / "mirror"
    package.mkdir()
    rooms = Path(dicomnode.science.__file__).parent
    for name in ("compiled.py", "elementary.py"):
        text = (rooms / name).read_text().replace("dicomnode.science", "mirror")
        (package / name).write_text(text)
    (package / "__init__.py").write_text("")
    (package / "caller.py").write_text(CALLER)

    def called() -> float:
        ran = subprocess.run(
            [sys.executable, "-c", CALL], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return float(ran.stdout)

    assert called() == pytest.approx(2)
    elementary = package / "elementary.py"
    elementary.write_text(elementary.read_text().replace("_F(1.000000071654367)", "_F(3)"))
    assert called() == pytest.approx(6)


MEASURED = """
import hashlib
import numpy as np
from dicomnode.science.curves import Binned
from dicomnode.science.fit.recirculation import Recirculation
from dicomnode.science.fit.region import Region
from dicomnode.science.interpolation import add_power, split
from dicomnode.science.kinetics.shapes import LOGNORMAL

draw = np.random.default_rng(1)
frames = draw.integers(0, 255, (20, 60, 80), np.uint8)
corners, parts = split(draw.uniform(-4, 4, (20, 2)))
power = np.zeros((50, 70), np.float32)
add_power(frames, np.arange(20), corners, parts, np.float32(0.03), power)
time_s = np.linspace(0, 60, 64)
curve = 1 + 9 * np.exp(-2 * np.log(np.maximum(time_s - 8, 1e-3) / 12) ** 2)
total = (curve[:, None] * draw.gamma(8, 1, (64, 200))).astype(np.float32)
count = np.full((64, 1), 8, np.float32)
mean = Binned(times_s=time_s, total=total.sum(axis=1, keepdims=True), count=200 * count)
region = Region(Binned(times_s=time_s, total=total, count=count), mean, 1.0)
again = Recirculation(
    fraction=0.15, delay_s=20.0, spread_s=10.0, family=LOGNORMAL, tp_s=12.0, curvature=2.0, t0_s=8.0
)
chosen, recirculating = region.fit(), region.fit((LOGNORMAL, again))
for each in (power, *vars(chosen).values(), *vars(recirculating).values()):
    if isinstance(each, np.ndarray):
        print(hashlib.sha256(each.tobytes()).hexdigest())
"""


def test_the_process_that_compiles_and_those_after_it_measure_the_same_bits(tmp_path: Path) -> None:
    """A compiled function that calls another may run another copy of it once it is cached."""

    def measured() -> str:
        ran = subprocess.run(
            [sys.executable, "-c", MEASURED], env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return ran.stdout

    first = measured()
    assert any(tmp_path.rglob("*.nbc"))
    assert measured() == first
