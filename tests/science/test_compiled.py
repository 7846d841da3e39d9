"""Compiled code is as new as what it was compiled from."""

import subprocess
import sys
from pathlib import Path

import pytest

import dicomnode.science
from dicomnode.science import compiled

CALL = """
import sys
from pathlib import Path
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


@pytest.mark.skipif(not compiled.AVAILABLE, reason="numba is not installed")
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
