"""Scores of answers: overlap, areas, calibration, intervals."""
