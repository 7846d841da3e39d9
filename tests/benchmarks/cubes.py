"""Cubes of single-look speckle whose every pixel's curve is known: the truth of the fit's figures.

The curves come from the textbook's formulas (dicomnode.science.kinetics), not from the form in
which they are fitted; what recirculates is each pixel's own first pass once more, late and half as
fast. No two pixels share speckle, so that nothing is gained from neighbours, except in the moving
scene, which is made of scatterers. None of this is a patient.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from dicomnode.science.fit.model import Problem, curves, nothing_again
from dicomnode.science.kinetics import FAMILIES, fpt, gamma_variate, ldrw, lognormal
from dicomnode.science.loop import Loop
from dicomnode.simulation.scatter import Scatterers, compress, echo_power

__all__ = ["Cube", "Scene", "cramer_rao", "cube", "first_pass", "moving_scene", "to_grey"]

Floats = NDArray[np.float64]

SECONDS, RANGE_DB = 75.0, 60.0
ARRIVAL_S, ARRIVAL_SD_S = 6.0, 0.7
TP_S, TP_LOG_SD = 9.0, 0.25
SIGMA = (0.5, 0.75)
"""Range of the lognormal's σ, and of the same curvature in other families."""
PE_LOG_SD = 0.4
BASE = 0.02
"""Baseline over the median peak."""
WHITE = 14.0
"""Echo power of grey 255 over the median peak: one sample in a million is above it at the peak."""
RETURN_S, RETURN_SLOWNESS = 15.0, 2.0
FINE = 20_000
"""Instants among which the steepest rise is looked for."""


@dataclass(frozen=True, kw_only=True)
class Cube:
    """True mean power (T, N) of N pixels at T times, and the parameters of their first pass.

    ``truth`` holds PE (median 1), TTP, mTT and AUC by name, "peak" (the instant of the peak on the
    clock, s), "t0" and "tp"; ``curvature`` is s of :mod:`dicomnode.science.kinetics.shapes`. TTP
    counts from where the steepest rising tangent of the mean curve of all pixels leaves the base.
    """

    family: str
    times_s: Floats
    mean: NDArray[np.float32]
    truth: Mapping[str, Floats]
    curvature: Floats

    def speckle(self, seed: int = 2) -> NDArray[np.float32]:
        """Single-look samples (T, N)."""
        rng = np.random.default_rng(seed)
        samples = rng.standard_exponential(self.mean.shape, np.float32)
        samples *= self.mean
        return samples


def cube(
    family: str = "lognormal", *, frames: int = 300, pixels: int = 10_000, share: float = 0.0,
    seed: int = 1,
) -> Cube:  # fmt: skip
    """Draw pixels of one family; ``share`` of the first pass's area comes round again."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(*SIGMA, pixels) ** -2.0
    tp, t0 = (
        TP_S * np.exp(rng.normal(0, TP_LOG_SD, pixels)),
        rng.normal(ARRIVAL_S, ARRIVAL_SD_S, pixels),
    )
    peak = np.exp(rng.normal(0, PE_LOG_SD, pixels))
    return _cube(family, np.linspace(0, SECONDS, frames), peak, tp, s, t0, share)


def _cube(
    family: str, times_s: Floats, peak: Floats, tp: Floats, s: Floats, t0: Floats, share: float
) -> Cube:
    shape = FAMILIES[family]
    area = peak * tp * shape.area(s)
    mean = np.empty((len(times_s), len(tp)), np.float32)
    for t, line in zip(times_s, mean, strict=True):
        line[:] = BASE + first_pass(family, t, area, tp, s, t0)
        if share:
            slow, late = RETURN_SLOWNESS * tp, t0 + RETURN_S
            line += share * first_pass(family, t, area, slow, s, late)
    truth = {
        "PE": peak, "TTP": t0 + tp - _arrival(times_s, mean.mean(axis=1, dtype=np.float64)),
        "mTT": tp * shape.mean(s), "AUC": area, "peak": t0 + tp, "t0": t0, "tp": tp,
    }  # fmt: skip
    return Cube(family=family, times_s=times_s, mean=mean, truth=truth, curvature=s)


def _arrival(times_s: Floats, mean: Floats) -> float:
    """Where the steepest rising tangent of a curve (T,) leaves the base."""
    curve, clock_s = CubicSpline(times_s, mean), np.linspace(times_s[0], times_s[-1], FINE)
    steepest = clock_s[np.argmax(curve(clock_s, 1))]
    return float(steepest - (curve(steepest) - BASE) / curve(steepest, 1))


def first_pass(family: str, t_s: float, area: Floats, tp: Floats, s: Floats, t0: Floats) -> Floats:
    """The textbook's curve in the textbook's parameters."""
    if family == "lognormal":
        return lognormal(t_s, area, np.log(tp) + 1 / s, s**-0.5, t0)
    if family == "gamma variate":
        return gamma_variate(t_s, area, s, tp / s, t0)
    tilt, curve = (0.5, ldrw) if family == "LDRW" else (1.5, fpt)
    late, early = (s - tilt) / 2, (s + tilt) / 2
    return curve(t_s, area, tp * np.sqrt(early / late), 2 * np.sqrt(late * early), t0)


def cramer_rao(known: Cube) -> dict[str, Floats]:
    """Least standard deviation (N,) of an unbiased estimate of ln of each parameter.

    From all single-look samples; of TTP and "peak" in seconds. Nothing is known beforehand, but for
    the arrival of the region, which has the samples of all its pixels.
    """
    family, s = FAMILIES[known.family], known.curvature
    truth = known.truth
    theta = np.stack(
        [np.log(truth["PE"]), np.log(truth["tp"]), np.log(s), truth["t0"],
         np.full_like(s, np.log(BASE))], axis=1,
    )  # fmt: skip
    problem = Problem(
        times_s=known.times_s, again=nothing_again(known.times_s), family=family,
        centre=theta[0], precision=np.zeros((5, 5)),
    )  # fmt: skip
    model, slopes = curves(theta, problem)
    relative = np.stack(slopes, axis=1) / model[:, None, :]
    covariance = np.linalg.inv(relative @ relative.transpose(0, 2, 1))
    one, none, h = np.ones_like(s), np.zeros_like(s), 1e-4
    mean, area = (
        np.log(each(s * np.exp(h)) / each(s * np.exp(-h))) / (2 * h)
        for each in (family.mean, family.area)
    )
    gradients = {
        "PE": (one, none, none, none, none),
        "TTP": (none, truth["tp"], none, one, none),
        "mTT": (none, one, mean, none, none),
        "AUC": (one, one, area, none, none),
        "peak": (none, truth["tp"], none, one, none),
    }
    return {
        name: np.sqrt(np.einsum("in,nij,jn->n", np.stack(g), covariance, np.stack(g)))
        for name, g in gradients.items()
    }


def to_grey(power: NDArray[np.float32], white: float = WHITE) -> NDArray[np.uint8]:
    """Log-compress to 8 bit over 60 dB; ``white`` is the power of grey 255."""
    flat = np.atleast_2d(power)
    return compress(flat, np.ones_like(flat), white, RANGE_DB).reshape(power.shape)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A dual-pane loop of moving tissue; the truth in tissue coordinates is a function of place."""

    loop: Loop
    shift_px: Floats
    """(T, 2): true displacement of the tissue from where ``at`` has it."""

    def at(self, rows: Floats, columns: Floats) -> Cube:
        """Truth of points of the tissue."""
        return _tissue(self.loop.times_s, rows, columns)


SCENE_PX, SPACING_MM, PSF_PX = 112, 0.15, (0.75, 1.1)
BREATHING_MM, BREATHING_HZ, DRIFT_MM = 1.0, 0.25, 0.5
SCENE_FRAMES = 300


def _tissue(times_s: Floats, rows: Floats, columns: Floats) -> Cube:
    """Lognormal curves whose parameters change slowly from place to place (over about 5 mm)."""
    wave = np.stack([np.sin(rows / 17 + 0.4), np.cos(columns / 21), np.sin((rows + columns) / 27)])
    peak, tp = np.exp(0.4 * wave[0]), TP_S * np.exp(0.3 * wave[1])
    s = (0.62 + 0.1 * wave[2]) ** -2.0
    return _cube("lognormal", times_s, peak, tp, s, ARRIVAL_S + 0.7 * wave[0] * wave[1], 0.0)


def moving_scene(seed: int = 3) -> Scene:
    """Single-look speckle of scatterers that breathe and drift, 8 bit, with its B-mode pane."""
    rng = np.random.default_rng(seed)
    margin = 16
    side = SCENE_PX + 2 * margin
    rows, columns = (each.ravel() - margin for each in np.mgrid[:side, :side].astype(float))
    times_s = np.linspace(0, SECONDS, SCENE_FRAMES)
    tissue = _tissue(times_s, rows, columns)
    shift_px = _breathing(times_s)
    bubbles, walls = (Scatterers(rng, (side, side), looks=1, persistence=0.0) for _ in range(2))
    structure = np.exp(0.8 * np.sin(rows / 5) * np.cos(columns / 7)).reshape(side, side)
    still = walls.field * structure.astype(np.float32)
    contrast, bmode = np.empty((2, SCENE_FRAMES, SCENE_PX, SCENE_PX), np.uint8)
    for t, shift in enumerate(shift_px):
        bubbles.advance()
        amplitude = np.sqrt(0.5 * tissue.mean[t].reshape(side, side))
        moved = (float(shift[0]), float(shift[1]))
        contrast[t] = to_grey(echo_power(amplitude * bubbles.field, PSF_PX, moved, margin))
        bmode[t] = to_grey(echo_power(still, PSF_PX, moved, margin), 200.0)
    loop = Loop(
        contrast=contrast, bmode=bmode, times_s=times_s, spacing_mm=(SPACING_MM, SPACING_MM),
        graphics=np.zeros((SCENE_PX, SCENE_PX), np.bool_), dynamic_range_db=RANGE_DB,
        dynamic_range_source="tag",
    )  # fmt: skip
    return Scene(loop=loop, shift_px=shift_px)


def _breathing(times_s: Floats) -> Floats:
    phase = np.sin(2 * np.pi * BREATHING_HZ * times_s)
    drift = times_s / times_s[-1]
    down_mm, along_mm = 0.3 * BREATHING_MM * phase, 0.5 * BREATHING_MM * phase + DRIFT_MM * drift
    return np.stack([down_mm, along_mm], axis=1) / SPACING_MM
