"""Evaluation of bundles on a cohort, and against one another."""
