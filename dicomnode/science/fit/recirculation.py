"""Agent that comes round again: one shape for a region, found from a sample of its pixels."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.fit.kernel import ITERATIONS, curves, maximise
from dicomnode.science.fit.noise import SPREAD, dispersion
from dicomnode.science.fit.start import dictionary_start
from dicomnode.science.kinetics import lognormal, recirculation

__all__ = ["Recirculation", "choose_recirculation", "no_recirculation"]

Floats = NDArray[np.float64]

_FRACTIONS = (0.0, 0.1, 0.2, 0.35, 0.5)
"""Shares tried; no more than half, for a slow wash-out can pass for recirculation."""
_DELAYS_S = (10.0, 18.0, 28.0)
_DECAY_S = 180.0
_SHAPES = ((_DECAY_S, 1.0), (0.0, 1.5), (0.0, 3.0))
"""Decay of a pool, or slowness of a second pass."""
_PROBE = 256
"""Pixels that decide on recirculation."""
_CONVINCING = 10.0
"""Fall of the deviance, over the dispersion, that recirculation must bring."""


@dataclass(frozen=True, kw_only=True)
class Recirculation:
    """What comes round again, per unit area of a pixel's first pass; shared by the region.

    Either a second pass, delayed and slower than the first, or agent so well mixed by then that it
    fills a pool that decays.
    """

    fraction: float
    delay_s: float
    decay_s: float
    """Decay of a well-mixed pool; 0 where a second pass is seen instead."""
    slowness: float
    """How many times slower than the first pass the second one is."""
    mu: float
    sigma: float
    t0_s: float

    def per_area(self, times_s: Floats) -> Floats:
        """Echo power at ``times_s`` for a first pass of area 1."""
        if not self.decay_s:
            slower = self.mu + np.log(self.slowness)
            return lognormal(times_s, self.fraction, slower, self.sigma, self.t0_s + self.delay_s)
        return recirculation(
            times_s, 1.0, self.mu, self.sigma, self.t0_s,
            fraction=self.fraction, delay_s=self.delay_s, decay_s=self.decay_s,
        )  # fmt: skip


def no_recirculation(mu: float, t0_s: float) -> Recirculation:
    """A region in which nothing comes round."""
    return Recirculation(
        fraction=0.0, delay_s=0.0, decay_s=_DECAY_S, slowness=1.0, mu=mu, sigma=0.7, t0_s=t0_s
    )


def _objective(theta: Floats, times: Floats, extra: Floats, total: Floats, count: Floats) -> float:
    model = curves(theta, times, extra)[1]
    return float((count * np.log(model) + total / model).sum())


def _shape(
    region: Floats, fraction: float, delay_s: float, decay_s: float, slowness: float
) -> Recirculation:
    return Recirculation(
        fraction=fraction,
        delay_s=delay_s,
        decay_s=decay_s,
        slowness=slowness,
        mu=float(region[1]),
        sigma=float(np.exp(region[2])),
        t0_s=float(region[3]),
    )


def _probe(total: Floats) -> NDArray[np.int64]:
    """Pixels at evenly spaced ranks of the brighter half."""
    order = np.argsort(total.sum(axis=1), kind="stable")[total.shape[0] // 2 :]
    chosen = np.linspace(0, order.size - 1, min(_PROBE, order.size)).astype(np.int64)
    return np.asarray(order[chosen])


def choose_recirculation(
    times: Floats, total: Floats, count: Floats, region: Floats
) -> Recirculation:
    """Take the share and delay that lower a sample of pixels' deviance most, if convincingly."""
    probe = _probe(total)
    total, count = total[probe], count[probe]
    none = np.zeros_like(times)
    theta = dictionary_start(times, none, total, count, region)
    found: list[tuple[float, Recirculation]] = []
    for (decay_s, slowness), delay_s in product(_SHAPES, _DELAYS_S):
        for fraction in _FRACTIONS if not found else _FRACTIONS[1:]:
            candidate = _shape(region, fraction, delay_s, decay_s, slowness)
            extra = candidate.per_area(times)
            theta, _, _ = maximise(
                theta, times, extra, total, count, region, SPREAD**-2.0, ITERATIONS
            )
            found.append((_objective(theta, times, extra, total, count), candidate))
    plain, best = found[0], min(found, key=lambda pair: pair[0])
    scatter = dispersion(theta, times, none, total, count, np.zeros(len(total)))
    fall = 2 * (plain[0] - best[0]) / max(float(np.median(scatter)), 1e-9)
    return best[1] if fall > _CONVINCING else plain[1]
