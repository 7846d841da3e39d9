"""The classifier: what it learns from, how it is calibrated, and its report."""
