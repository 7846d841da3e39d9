"""Least amounts that the method needs, for those who only check what was asked for."""

__all__ = ["FEWEST_FRAMES"]

FEWEST_FRAMES = 8
"""Usable frames, or time bins, that a curve is fitted to; fewer are refused."""
