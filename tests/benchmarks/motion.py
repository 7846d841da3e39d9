"""Residual motion of simulated exams whose true displacement is known."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.motion import register
from dicomnode.simulation import motion as simulated
from dicomnode.simulation import recipe_for, simulate
from dicomnode.simulation.chance import stream
from dicomnode.simulation.exam import SimulatedExam
from tests.benchmarks.row import Row

BREATHING_MM = 3.0
SEEDS = (9_100_000, 9_100_001, 9_100_002, 9_100_003)
OUT_OF_PLANE_MM = (1.0, 0.5)
"""Exams with much and with little of it in turn."""
OTHER_PLANE = 0.5
"""Speckle of a frame truly out of plane correlates by less than this with the usual plane's."""
LAYOUTS = (("dual pane", "mono-left"), ("single pane", "single"))


@dataclass(frozen=True)
class Residual:
    """Of one exam: errors in px, and the truth about the plane of each frame."""

    error_px: NDArray[np.float64]
    kept: NDArray[np.bool_]
    before_arrival: NDArray[np.bool_]
    other_plane: NDArray[np.bool_]


def residual_motion() -> list[Row]:
    rows = []
    for words, layout in LAYOUTS:
        for preset in ("small", "full"):
            exams = [_residual(_exam(i, layout, preset)) for i in range(len(SEEDS))]
            rows += _rows(f"{words}, {preset}", _joined(exams))
    return rows


def _exam(i: int, layout: str, preset: str) -> SimulatedExam:
    recipe = recipe_for(
        ("malignant", "benign")[i % 2],
        SEEDS[i],
        preset=preset,
        layout=layout,
        breathing_mm=BREATHING_MM,
        out_of_plane_mm=OUT_OF_PLANE_MM[i % 2],
    )
    return simulate(recipe)


def _residual(exam: SimulatedExam) -> Residual:
    """Register as the pipeline does: the whole pane, then around the lesion."""
    loop, truth, recipe = exam.loop, exam.truth, exam.recipe
    motion = register(loop, truth.lesion_mask, reference=register(loop).reference)
    true_px = truth.shift_px - truth.shift_px[motion.reference]
    angle = simulated.move(
        stream(recipe, "motion"), recipe.tissue, loop.times_s, recipe.pane.spacing_mm
    ).plane_angle
    usual = np.median(angle[motion.kept])
    return Residual(
        error_px=np.hypot(*(motion.shift_px - true_px).T),
        kept=motion.kept,
        before_arrival=loop.times_s < truth.arrival_s,
        other_plane=np.cos(angle - usual) < OTHER_PLANE,
    )


def _joined(exams: list[Residual]) -> Residual:
    return Residual(
        *(np.concatenate([getattr(e, field.name) for e in exams]) for field in fields(Residual))
    )


def _rows(words: str, all_frames: Residual) -> list[Row]:
    kept, away = all_frames.kept, all_frames.other_plane
    error, early = all_frames.error_px[kept], all_frames.before_arrival[kept]
    return [
        Row(
            f"residual motion, {words}",
            f"{np.median(error):.2f} px",
            f"95 % within {np.percentile(error, 95):.2f} px; before arrival median "
            f"{np.median(error[early]):.2f}; {BREATHING_MM:g} mm breathing, {len(SEEDS)} exams",
        ),
        Row(
            f"frames out of plane, {words}",
            f"{np.sum(away & ~kept)} of {np.sum(away)}",
            f"left out; and {np.sum(~away & ~kept)} of {np.sum(~away)} frames in plane",
        ),
    ]
