"""Curves of contrast agent over time: one patient's bolus in every kind of tissue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root

from dicomnode.science import kinetics
from dicomnode.simulation.habitats import HABITATS, TISSUES, PerfusionClass
from dicomnode.simulation.recipe import Bolus

__all__ = ["STEP_S", "Perfusion", "perfuse", "shape"]

STEP_S = 0.05
"""Time step of the curve table."""

_NEAR = 1e-4
"""Of the differences that stand for a derivative."""

Curve = NDArray[np.float64]


def _lognormal(t_s: Curve, sigma: float) -> Curve:
    return np.asarray(kinetics.lognormal(t_s, 1.0, sigma**2, sigma, 0.0))


def _gamma_variate(t_s: Curve, sigma: float) -> Curve:
    return np.asarray(kinetics.gamma_variate(t_s, 1.0, 1 / sigma**2, sigma**2, 0.0))


def _ldrw(t_s: Curve, sigma: float) -> Curve:
    return np.asarray(kinetics.ldrw(t_s, 1.0, 1.0, np.sqrt(sigma**-4 - 0.25), 0.0))


def _fpt(t_s: Curve, sigma: float) -> Curve:
    return np.asarray(kinetics.fpt(t_s, 1.0, 1.0, np.sqrt(max(sigma**-4 - 2.25, 0.09)), 0.0))


def _lagged_normal(t_s: Curve, sigma: float) -> Curve:
    return np.asarray(kinetics.lagged_normal(t_s, 1.0, *_lag(sigma)))


@cache
def _lag(sigma: float) -> tuple[float, float, float]:
    """Mean, standard deviation and lag; peak at 1, half of it where a lognormal has it."""
    half = float(np.exp(np.sqrt(2 * np.log(2)) * sigma))
    at = np.array([1 - _NEAR, 1.0, 1 + _NEAR, 1 / half, half])

    def off(guess: Curve) -> Curve:
        before, peak, after, *halves = kinetics.lagged_normal(at, 1.0, guess[0], *np.exp(guess[1:]))
        return np.array([(after - before) / (_NEAR * peak), *(np.array(halves) / peak - 0.5)])

    found = root(off, [0.5, np.log(0.33), np.log(1.8)])
    if not found.success:
        raise ValueError(f"sigma: no lagged normal is like a lognormal of sigma {sigma}")
    mean, (spread, lag) = float(found.x[0]), np.exp(found.x[1:])
    return mean, float(spread), float(lag)


MODELS: Mapping[str, Callable[[Curve, float], Curve]] = {
    "lognormal": _lognormal,
    "gamma_variate": _gamma_variate,
    "ldrw": _ldrw,
    "fpt": _fpt,
    "lagged_normal": _lagged_normal,
}
"""Each with the curvature in log time that a lognormal of that sigma has at its peak; the lagged
normal with its peak and half of it at the same instants."""


def shape(t_s: Curve, model: str, *, ttp_s: float, sigma: float) -> Curve:
    """First pass of unit height that peaks ``ttp_s`` after arrival at t = 0."""
    curve = MODELS[model]
    scan = np.geomspace(0.05, 4.0, 20000)
    values = curve(scan, sigma)
    peak = int(np.argmax(values))
    return np.asarray(curve(t_s * (scan[peak] / ttp_s), sigma) / values[peak])


@dataclass(frozen=True, kw_only=True)
class Perfusion:
    """Curves of one patient, in units of habitat 3's usual peak.

    Attributes
    ----------
    table : ndarray of float32, shape (K, N)
        Curves of tissue numbers 0 (none) to K-1, every ``STEP_S`` from the bolus's arrival minus
        ``lead_s``.
    lead_s : float
        How long before the arrival the table starts.
    arrival_s : float
        Arrival of the bolus on the exam's clock.
    """

    table: NDArray[np.float32]
    lead_s: float
    arrival_s: float

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Curves on the exam's clock, shape (K, T)."""
        position = (times_s - self.arrival_s + self.lead_s) / STEP_S
        grid = np.arange(self.table.shape[1])
        return np.array([np.interp(position, grid, curve, left=0.0) for curve in self.table])


def perfuse(
    bolus: Bolus, *, duration_s: float, lesion_gain: float = 1.0, contrast_agent: bool = True
) -> Perfusion:
    """Curve of every habitat and tissue for one patient's bolus."""
    lead_s = 8.0
    t_s = np.arange(-lead_s, duration_s + lead_s, STEP_S)
    rows = [np.zeros_like(t_s)]
    rows += [lesion_gain * _curve_of(t_s, tissue, bolus) for tissue in HABITATS]
    rows += [_curve_of(t_s, tissue, bolus) for tissue in TISSUES]
    table = np.asarray(rows, np.float32) * (bolus.dose if contrast_agent else 0.0)
    return Perfusion(
        table=np.ascontiguousarray(table, np.float32), lead_s=lead_s, arrival_s=bolus.arrival_s
    )


def _curve_of(t_s: Curve, tissue: PerfusionClass, bolus: Bolus) -> Curve:
    """First pass, its recirculation, and the slow destruction of bubbles by the beam."""
    own_s = t_s - tissue.lag_s
    ttp_s = tissue.ttp_s * bolus.time_scale
    first = shape(own_s, bolus.model, ttp_s=ttp_s, sigma=tissue.sigma)
    second = shape(
        own_s - bolus.recirculation_delay_s * bolus.time_scale,
        bolus.model,
        ttp_s=2.5 * ttp_s,
        sigma=tissue.sigma,
    )
    lost = np.exp(-bolus.destruction_per_s * np.maximum(own_s, 0.0))
    return tissue.peak * (first + bolus.recirculation * second) * lost
