"""Rules on the bolus: whether contrast arrives in the pane at all."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.loop import Loop, linearise, static_bright
from dicomnode.science.quality.gain import GAIN_NOISE_DB, gain_change_db
from dicomnode.science.quality.rule import Facts, Rule, once

__all__ = ["RULES"]

_CELL_PX = 8
"""Side of the cells whose rise decides whether a bolus arrived."""


def _rise_beyond_gain_db(facts: Facts) -> float:
    gain_db = gain_change_db(facts)
    stepped_db = gain_db if gain_db is not None and gain_db > GAIN_NOISE_DB else 0.0
    return max(0.0, _bolus(facts)[0] - stepped_db)


def _enhancing_area(facts: Facts) -> float:
    return _bolus(facts)[1]


@once
def _bolus(facts: Facts) -> tuple[float, float]:
    """Rise of the pane's mean power in dB, and the share of its area that brightens, net."""
    cells = _cell_power(facts.loop, np.flatnonzero(facts.sound))
    if cells.size == 0:
        return 0.0, 0.0
    width = max(1, len(cells) // 20)
    smooth = ndimage.uniform_filter1d(cells, width, axis=0, mode="nearest")
    curve = ndimage.median_filter(smooth.mean(axis=1), size=min(3, len(cells)), mode="nearest")
    peak = int(np.argmax(curve))
    start = int(np.argmin(curve[: peak + 1]))
    change_db = 10.0 * np.log10(smooth[peak] / smooth[start])
    area = float(np.mean(change_db > 3.0) - np.mean(change_db < -3.0))
    return 10.0 * float(np.log10(curve[peak] / curve[start])), area


def _cell_power(loop: Loop, which: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean echo power in cells of 8 × 8 pixels, at most 120 of the frames; shape (n, cells)."""
    seen = ~(loop.graphics | static_bright(loop.contrast))
    counts = _cell_sums(seen.astype(np.float32))
    full = counts >= 0.5 * _CELL_PX**2
    picks = which[np.unique(np.linspace(0, len(which) - 1, min(len(which), 120)).astype(int))]
    rows = [
        _cell_sums(linearise(loop.contrast[t], loop.dynamic_range_db) * seen)[full] / counts[full]
        for t in picks
    ]
    return np.array(rows, np.float64)


def _cell_sums(image: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = (size // _CELL_PX for size in image.shape)
    cut = image[: rows * _CELL_PX, : columns * _CELL_PX]
    sums: NDArray[np.float32] = cut.reshape(rows, _CELL_PX, columns, _CELL_PX).sum(axis=(1, 3))
    return sums


RULES = (
    Rule(
        name="bolus",
        code="no-bolus",
        measure=_rise_beyond_gain_db,
        limit=2.0,
        unit="dB",
        bound="at least",
        withholds=frozenset({"analysis"}),
        early=True,
        message="mean echo power of the contrast pane rises by {value:.1f} dB beyond any step of "
        "gain; a bolus whose wash-in is recorded raises it by {limit:.0f} dB or more",
    ),
    Rule(
        name="enhancing area",
        code="no-bolus",
        measure=_enhancing_area,
        limit=0.1,
        unit="1",
        bound="at least",
        withholds=frozenset({"analysis"}),
        early=True,
        message="{value:.0%} more of the contrast pane brightens than darkens; "
        "a bolus brightens {limit:.0%} or more",
    ),
)
