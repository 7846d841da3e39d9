"""Exams that must be refused: what a scanner also sends, and what cannot be measured."""

from dataclasses import replace

from dicomnode.simulation.cohort import recipe_for
from dicomnode.simulation.exam import SimulatedExam, header, simulate
from dicomnode.simulation.screen import screen

__all__ = ["bmode_only", "without_contrast"]


def without_contrast(seed: int, *, preset: str = "small", **overrides: object) -> SimulatedExam:
    """Two panes in contrast mode, but nothing was injected: noise and residual tissue only."""
    recipe = recipe_for("benign", seed, preset=preset, contrast_agent=False, **overrides)
    return simulate(recipe)


def bmode_only(seed: int, *, preset: str = "small", **overrides: object) -> SimulatedExam:
    """A plain B-mode loop of a breast: one grey pane, no contrast mode at all."""
    drawn = recipe_for(
        "benign", seed, preset=preset, layout="mono-left", contrast_agent=False, **overrides
    )
    both = simulate(drawn)
    assert both.loop.bmode is not None
    recipe = drawn.with_overrides(layout="bmode", tint="grey")
    view = screen(
        "bmode",
        "grey",
        pane=both.loop.shape,
        spacing_mm=recipe.pane.spacing_mm,
        text=header(recipe),
    )
    loop = replace(both.loop, contrast=both.loop.bmode, bmode=None)
    return replace(both, recipe=recipe, loop=loop, screen=view)
