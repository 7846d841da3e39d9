"""What answers are worth: overlap, areas, calibration, intervals."""
